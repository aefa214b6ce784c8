"""Which inputs of an output projection belong to which attention head, by where each of them comes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor


@dataclass(frozen=True)
class HeadColumns:
    """How heads lie in a product of attention weights and values, and in the inputs of its projection.

    Args:
        columns: For each head its inputs, in the order of the values' channels.
        axis: The product's axis of heads, after the split.
        across: The product's axis of the values' channels, after the split.
        split: The axis that holds heads and something else, and the sizes to take it apart, one of them -1; or None.
    """

    columns: tuple[tuple[int, ...], ...]
    axis: int
    across: int
    split: tuple[int, tuple[int, int]] | None


def head_columns(entries: Tensor, shape: Sequence[int], across: int) -> HeadColumns | None:
    """Tell heads apart: entries that differ in nothing but the values' channel belong to one head.

    >>> product = torch.arange(2 * 3 * 5 * 4).view(2, 3, 5, 4)  # images, heads, tokens, channels
    >>> head_columns(product.transpose(1, 2).reshape(10, 12), product.shape, 3).columns
    ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11))

    Args:
        entries: int (rows, inputs), for each input of the projection the number of the product's entry that it is.
        shape: Shape of the product.
        across: Its axis of the values' channels.

    Returns:
        The heads; None if inputs do not belong to heads in the same way in every row.
    """
    width, owners = shape[across], [size for dim, size in enumerate(shape) if dim != across]
    inner = prod(shape[across + 1 :])
    channel = entries // inner % width  # (rows, inputs)
    owner = entries // (inner * width) * inner + entries % inner  # (rows, inputs), number among all other axes
    found, label, counts = torch.unique(owner[0], return_inverse=True, return_counts=True)
    if not bool((counts == width).all()):
        return None
    order = (label * width + channel[0]).argsort()
    channel, owner = (values[:, order].view(len(entries), -1, width) for values in (channel, owner))
    number = torch.arange(len(found))
    head = torch.full([prod(owners)], -1)
    first = owner[:, :, 0].long()
    head[first] = number.expand(len(entries), -1)
    is_regular = bool((channel == torch.arange(width)).all()) and bool((owner == owner[:, :, :1]).all())
    if not is_regular or not bool((head[first] == number).all()):
        return None
    columns = tuple(tuple(row) for row in order.view(-1, width).tolist())
    return _with_axis(columns, head.view(owners), across)


def _with_axis(columns: tuple[tuple[int, ...], ...], head: Tensor, across: int) -> HeadColumns | None:
    """Find the axis along which the number of the head varies, and that alone."""
    heads, shared = len(columns), []
    for dim, size in enumerate(head.shape):
        along, place = head.movedim(dim, 0).flatten(1), torch.arange(size)
        axis, later = dim + (dim >= across), across + (dim < across)
        if not bool((along == along[:, :1]).all()):
            continue
        if torch.equal(along[:, 0], place):
            return HeadColumns(columns, axis, across, None)
        if torch.equal(along[:, 0], place % heads):
            shared.append(HeadColumns(columns, axis + 1, later, (axis, (-1, heads))))
        elif size % heads == 0 and torch.equal(along[:, 0], place // (size // heads)):
            shared.append(HeadColumns(columns, axis, later, (axis, (heads, -1))))
    return next(iter(shared), None)
