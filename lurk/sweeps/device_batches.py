"""Batches on their way to a GPU, and what was measured on its way back, while the GPU computes; a CPU needs neither.

A copy between a GPU and pinned memory holds up neither of the two.
"""

from collections.abc import Mapping

import torch
from torch import Tensor


class BatchCopies:
    """Copies batches to a device. To a GPU they go in a stream of their own, beside what it computes.

    Args:
        place: The device.
        dtype: The type of the network's numbers.
        memory_format: The order of a batch in memory.
    """

    def __init__(self, place: torch.device, dtype: torch.dtype, memory_format: torch.memory_format) -> None:
        self._place, self._dtype, self._format = place, dtype, memory_format
        self._stream = _stream(place) if place.type == "cuda" else None

    def __call__(self, images: Tensor) -> Tensor:
        """Copy a batch.

        Args:
            images: Floating point (n, c, h, w) on the CPU.

        Returns:
            The batch; what is computed with it from now on waits until it is there.
        """
        if self._stream is None:
            return images.to(self._place, self._dtype, memory_format=self._format)
        computing = torch.cuda.current_stream(self._place)
        with torch.cuda.stream(self._stream):
            there = images.pin_memory().to(self._place, non_blocking=True)
            batch = there.to(self._dtype, memory_format=self._format)
        computing.wait_stream(self._stream)
        batch.record_stream(computing)  # its memory is given to another batch only when that has used it
        return batch


class Returning:
    """Tensors that come back from a device in one copy, while it goes on computing; those of a CPU stay as they are.

    Args:
        tensors: Tensors of one device, by name.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors, self._arrived = dict(tensors), None
        if any(tensor.is_cuda for tensor in tensors.values()):
            packed, self._tensors = pack(tensors), {name: tensor.to("meta") for name, tensor in tensors.items()}
            self._packed = torch.empty(packed.shape, dtype=packed.dtype, pin_memory=True)
            stream = _stream(packed.device)
            stream.wait_stream(torch.cuda.current_stream(packed.device))
            with torch.cuda.stream(stream):
                self._packed.copy_(packed, non_blocking=True)
            packed.record_stream(stream)
            self._arrived = stream.record_event()

    def get(self) -> dict[str, Tensor]:
        """Wait for the tensors."""
        if self._arrived is None:
            return self._tensors
        self._arrived.synchronize()
        return unpack(self._packed, self._tensors)


def _stream(place: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(place)  # type: ignore[no-untyped-call]  # PyTorch has no types for it


def pack(tensors: Mapping[str, Tensor]) -> Tensor:
    """The bytes of tensors of one device, uint8, those of the widest numbers first, so that all can be viewed."""
    ordered = sorted(tensors.values(), key=lambda tensor: -tensor.element_size())
    return torch.cat([tensor.contiguous().view(-1).view(torch.uint8) for tensor in ordered])


def unpack(packed: Tensor, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose bytes `pack` has put together, as views.

    Args:
        packed: The bytes.
        like: What was packed, on any device, for shapes and types.

    Returns:
        The tensors, in their first order.
    """
    ordered = sorted(like, key=lambda name: -like[name].element_size())
    parts = torch.split(packed, [like[name].numel() * like[name].element_size() for name in ordered])
    found = {
        name: part.view(like[name].dtype).view(like[name].shape) for name, part in zip(ordered, parts, strict=True)
    }
    return {name: found[name] for name in like}
