"""Images inside a figure or a page of a notebook, which has no server: the data in the address itself."""

from base64 import b64encode

from lurk.storage.webp import MIMETYPE


def data_uri(webp: bytes) -> str:
    """The address that holds a WebP image."""
    return f"data:{MIMETYPE};base64,{b64encode(webp).decode()}"
