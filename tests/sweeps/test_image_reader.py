import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest
import torch

from lurk.errors import ImagesError
from lurk.sweeps.image_reader import BATCHES_AHEAD, ImageReader

SHAPE = (3, 4, 4)


class Images:
    """Images whose samples are their number; some cannot be read."""

    def __init__(self):
        self.read_so_far, self._lock = [], threading.Lock()

    def read(self, number):
        with self._lock:
            self.read_so_far.append(number)
        if number == 3:
            raise ImagesError("cut short")
        return (
            torch.full((3, 4, 9) if number == 5 else SHAPE, number, dtype=torch.float64) if number != 4 else "a picture"
        )


class Model:
    def preprocess(self, image):
        raise KeyError(image)


@pytest.fixture
def reader():
    with ThreadPoolExecutor(2) as pool:
        yield ImageReader(Model(), Images(), SHAPE, pool)


def test_batches_come_in_order_and_the_last_may_be_short(reader):
    batches = list(reader.batches(range(6, 17), 4))
    assert [[number for number, _ in batch] for batch in batches] == [[6, 7, 8, 9], [10, 11, 12, 13], [14, 15, 16]]
    for number, image in chain.from_iterable(batches):
        assert (image.dtype, image.shape) == (torch.float32, SHAPE)
        assert (image == number).all()


def test_an_image_that_cannot_be_used_comes_with_its_reason(reader):
    (batch,) = reader.batches(range(3, 6), 4)
    assert batch == [
        (3, "cut short"),
        (4, "preprocessing failed: KeyError: 'a picture'"),
        (5, "is (3, 4, 9) after preprocessing; the model takes (3, 4, 4)"),
    ]


def test_no_more_than_two_batches_are_read_ahead(reader):
    batches = reader.batches(range(6, 106), 5)
    next(batches)
    assert len(reader._images.read_so_far) <= 5 * (BATCHES_AHEAD + 1)


def test_no_images_give_no_batches(reader):
    assert list(reader.batches(range(0), 4)) == []
