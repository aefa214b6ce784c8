"""The demo set's photographs: crops of the photographs in scikit-image, at many positions and scales."""

import importlib.util
import random
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from lurk.errors import ImagesError
from lurk.images.decoding import to_rgb

SIDE = 256
NEVER_MIRRORED = frozenset(("handwriting", "printed page"))
LEAST_CROP, LEAST_SHARE, MOST_SHARE = 112, 0.42, 0.95
FACES, FACE_STEP = "lfw_subset.npy", 4
FILES = {
    "astronaut": "astronaut.png",
    "bricks": "brick.png",
    "cat": "chelsea.png",
    "cell": "cell.png",
    "clock": "clock_motion.png",
    "coffee": "coffee.png",
    "coins": "coins.png",
    "colour wheel": "color.png",
    "faces": FACES,
    "galaxies": "hubble_deep_field.jpg",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "handwriting": "text.png",
    "horse": "horse.png",
    "moon": "moon.png",
    "motorcycle": "motorcycle_left.png",
    "photographer": "camera.png",
    "printed page": "page.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
    "snake logo": "logo.png",
    "tissue": "ihc.png",
}


def photograph(name: str, number: int) -> Image.Image:
    """A crop of a photograph, the same one each time.

    Args:
        name: A key of `FILES`.
        number: Number of the crop; 0 is the largest square in the middle.

    Returns:
        256 by 256 pixels, mode L if the photograph is grey, else RGB.
    """
    if FILES[name] == FACES:
        return _face(number)
    picture = _source(FILES[name])
    chance = random.Random(f"{name}/{number}")  # noqa: S311 - not a secret
    short = min(picture.size)
    least, most = max(LEAST_CROP, int(LEAST_SHARE * short)), int(MOST_SHARE * short)
    side = short if number == 0 else chance.randint(least, most)
    left, top = (chance.randint(0, length - side) for length in picture.size)
    if number == 0:
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
    crop = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if number % 2 and name not in NEVER_MIRRORED else crop


def _face(number: int) -> Image.Image:
    faces = np.load(_folder() / FACES, allow_pickle=False)
    samples = np.floor(faces[number * FACE_STEP % 100] * 255 + 0.500001).astype(np.uint8)
    return Image.fromarray(samples).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


@cache
def _folder() -> Path:
    """The folder of the photographs, found without importing scikit-image, which is slow."""
    found = importlib.util.find_spec("skimage")
    folder = Path(found.origin).parent / "data" if found and found.origin else Path("skimage")
    if not (folder / FILES["cat"]).is_file():
        raise ImagesError("the demo set is made of scikit-image's photographs, which are not installed: make install")
    return folder


@cache
def _source(file: str) -> Image.Image:
    with Image.open(_folder() / file) as opened:
        return opened.copy() if opened.mode == "L" else to_rgb(opened)
