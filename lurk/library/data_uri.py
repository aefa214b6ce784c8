"""Images inside a figure or a page of a notebook, which has no server: the data in the address itself."""

from base64 import b64encode

from lurk.storage.webp import MIMETYPE


def data_uri(data: bytes, mimetype: str = MIMETYPE) -> str:
    """The address that holds an image, by default a WebP one."""
    return f"data:{mimetype};base64,{b64encode(data).decode()}"
