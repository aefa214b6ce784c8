"""What a CPU can show of copies to and from a GPU: that bytes come back as they were, and that a CPU copies nothing."""

import pytest
import torch

from lurk.sweeps.device_batches import BatchCopies, Returning, pack, unpack

TENSORS = {
    "counts": torch.arange(3, dtype=torch.int32).view(3, 1),
    "flags": torch.tensor([True, False, True, True, False]),
    "means": torch.tensor([[1.5, float("nan"), -0.0]], dtype=torch.float64).T,
    "places": torch.arange(7, dtype=torch.int16),
    "none": torch.zeros(0, 4),
    "values": torch.arange(6.0).view(2, 3).T,
}


def test_tensors_of_any_types_and_strides_are_unpacked_as_they_were():
    like = {name: tensor.to("meta") for name, tensor in TENSORS.items()}
    found = unpack(pack(TENSORS), like)
    assert list(found) == list(TENSORS)
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert torch.equal(found[name].nan_to_num(9), tensor.nan_to_num(9))


def test_on_a_cpu_nothing_is_copied():
    images = torch.rand(2, 3, 4, 4)
    assert BatchCopies(torch.device("cpu"), torch.float32, torch.contiguous_format)(images) is images
    returned = Returning(TENSORS).get()
    assert all(returned[name] is tensor for name, tensor in TENSORS.items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gets_the_batch_and_gives_back_what_it_was_given():
    images, place = torch.rand(2, 3, 4, 4), torch.device("cuda")
    batch = BatchCopies(place, torch.float16, torch.channels_last)(images)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batch.cpu(), images.half())
    returned = Returning({name: tensor.to(place) for name, tensor in TENSORS.items()}).get()
    assert all(torch.equal(returned[name].nan_to_num(9), tensor.nan_to_num(9)) for name, tensor in TENSORS.items())
