import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from lurk.errors import ImagesError
from lurk.sweeps.image_reader import BATCHES_AHEAD, ImageReader, reading_threads

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
        if number == 4:
            raise KeyError("a picture")
        return torch.full((3, 4, 9) if number == 5 else SHAPE, number, dtype=torch.float64)


@pytest.fixture
def images():
    return Images()


@pytest.fixture
def reader(images):
    with reading_threads(2) as pool:
        yield ImageReader(images.read, SHAPE, pool)


def test_batches_come_in_order_and_the_last_may_be_short(reader):
    batches = list(reader.batches(range(6, 17), 4))
    assert [batch.numbers for batch in batches] == [(6, 7, 8, 9), (10, 11, 12, 13), (14, 15, 16)]
    assert [batch.end for batch in batches] == [10, 14, 17]
    for batch in batches:
        assert (batch.images.dtype, batch.images.shape) == (torch.float32, (len(batch.numbers), *SHAPE))
        assert (batch.images == torch.tensor(batch.numbers).view(-1, 1, 1, 1)).all()
        assert batch.failed == ()


def test_an_image_that_cannot_be_used_comes_with_its_reason(reader):
    (batch,) = reader.batches(range(2, 7), 5)
    assert batch.failed == (
        (3, "cut short"),
        (4, "preprocessing failed: KeyError: 'a picture'"),
        (5, "is (3, 4, 9) after preprocessing; the model takes (3, 4, 4)"),
    )
    assert batch.numbers == (2, 6)
    assert batch.images[:, 0, 0, 0].tolist() == [2, 6]


def test_a_batch_of_which_no_image_can_be_used_is_empty(reader):
    (batch,) = reader.batches(range(3, 6), 4)
    assert (batch.end, batch.numbers, len(batch.images)) == (6, (), 0)


def test_no_more_than_two_batches_are_read_ahead(reader, images):
    batches = reader.batches(range(6, 106), 5)
    next(batches)
    assert len(images.read_so_far) <= 5 * (BATCHES_AHEAD + 1)


def test_no_images_give_no_batches(reader):
    assert list(reader.batches(range(0), 4)) == []


def test_a_gradient_that_a_preprocessing_leaves_on_is_dropped():
    with reading_threads(1) as pool:
        reader = ImageReader(lambda _number: torch.ones(SHAPE, requires_grad=True), SHAPE, pool)
        (batch,) = reader.batches(range(2), 2)
    assert not batch.images.requires_grad


def test_each_thread_computes_alone_and_later_threads_are_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with reading_threads(2) as pool:
            assert {pool.submit(torch.get_num_threads).result() for _ in range(4)} == {1}
            assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as other:
            assert other.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(before)
