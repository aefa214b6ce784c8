"""The images that a model is examined on: few, the same ones each time, spread over the classes."""

import hashlib
from collections.abc import Sequence

from lurk.images.image_set import ImageSet

MOST = 100


def spread(images: ImageSet, usable: Sequence[bool], count: int = MOST) -> list[int]:
    """Choose images evenly over the classes.

    Args:
        images: The image set.
        usable: For each image whether it may be chosen.
        count: How many at most.

    Returns:
        Numbers of images: one of each class, then a second of each, and so on; in a random order that depends on the
        paths alone.
    """
    order = sorted((n for n in range(len(images)) if usable[n]), key=lambda n: _key(images.paths[n]))
    seen: dict[int | None, int] = {}
    turns = {}
    for number in order:
        label = images.labels[number]
        turns[number] = seen.get(label, 0)
        seen[label] = turns[number] + 1
    return sorted(order, key=turns.__getitem__)[:count]


def _key(path: str) -> bytes:
    return hashlib.sha256(b"doctor" + path.encode("utf-8", "surrogateescape")).digest()
