"""Which input pixels each position sees: a network is run on coordinates in the place of pixels.

The batch has six images. At every position they hold the first row that it sees and the last, the first column and the
last (the firsts negative, so that every operation is a maximum), and the rows and the columns between neighbouring
positions. Padding counts on beyond the border, so a field may be larger than the image. An operation that mixes all
positions adds `GLOBAL`. Image k has `(k + 1) * TAG` on top, which tells on what axis the images are; a constant is 0.
"""

from collections.abc import Sequence
from math import ceil, prod

import torch
from torch import Tensor

IMAGES = 6
TAG = 2.0**26
GLOBAL = 2.0**20


def image_coordinates(shape: Sequence[int]) -> Tensor:
    """Make the coordinates of an image's own pixels: float64 (6, c, h, w), stored once for all channels."""
    c, h, w = shape
    rows = torch.arange(h, dtype=torch.float64)[:, None].expand(h, w)
    cols = torch.arange(w, dtype=torch.float64).expand(h, w)
    one = torch.ones_like(rows)
    planes = torch.stack([-rows, rows + 1, -cols, cols + 1, one, one])
    return (planes + TAG * torch.arange(1, IMAGES + 1)[:, None, None])[:, None].expand(IMAGES, c, h, w)


def core(x: Tensor) -> Tensor:
    """Leave out the repetition along axes on which a tensor is stored once."""
    strides = x.stride()
    if 0 not in strides:
        return x
    return x.as_strided(
        [size if stride else min(size, 1) for size, stride in zip(x.shape, strides, strict=True)], strides
    )


def thin(x: Tensor) -> Tensor:
    """Copy a tensor so that it is stored once along each axis on which it does not vary."""
    shape = x.shape
    x = core(x)
    for dim in range(x.dim()):
        if x.shape[dim] > 1 and torch.equal(x.select(dim, 0), x.select(dim, 1)) and _is_even(x, dim):
            x = x.narrow(dim, 0, 1)
    return x.clone(memory_format=torch.contiguous_format).expand(shape)


def _is_even(x: Tensor, dim: int) -> bool:
    return torch.equal(x, x.narrow(dim, 0, 1).expand_as(x))


def reshaped(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Reshape a tensor; axes on which it is stored once are not spread out, unless they are joined with others.

    Args:
        x: The tensor.
        shape: Its shape afterwards.

    Returns:
        A tensor that may share memory with it.
    """
    if not x.numel():
        return x.reshape(tuple(shape))
    shape = [size if size >= 0 else x.numel() // abs(prod(shape)) for size in shape]
    before, after = list(core(x).shape), list(shape)
    i = j = 0
    while i < len(before) and j < len(after):  # each round takes the fewest axes that are as large together as others
        first, second = i + 1, j + 1
        while (sizes := (prod(x.shape[i:first]), prod(shape[j:second])))[0] != sizes[1]:
            first, second = first + (sizes[0] < sizes[1]), second + (sizes[0] > sizes[1])
        once = prod(before[i:first]) == 1
        before[i:first] = before[i:first] if once else x.shape[i:first]
        after[j:second] = [1] * (second - j) if once else shape[j:second]
        i, j = first, second
    return core(x).expand(before).reshape(after).expand(*shape)


def is_coordinate(x: Tensor) -> Tensor:
    """Find where a tensor depends on the image."""
    return x > TAG / 2


def has_coordinates(x: Tensor) -> bool:
    """Whether any part of a tensor depends on the image."""
    x = core(x)
    return x.numel() > 0 and (x[(0,) * x.dim()].item() > TAG / 2 or x.amax().item() > TAG / 2)


def coordinate(x: Tensor) -> Tensor:
    """Take the tag off."""
    return x.sub(torch.round(x / TAG), alpha=TAG)


def is_global(x: Tensor) -> Tensor:
    """Find where a tensor depends on the whole image."""
    return coordinate(x) > GLOBAL / 2


def everywhere(x: Tensor) -> Tensor:
    """Let every position see the whole image; what it saw before still tells which axis is which."""
    return torch.where(is_coordinate(x), torch.where(is_global(x), x, x + GLOBAL), TAG + GLOBAL)


def image_axis(x: Tensor) -> int | None:
    """Return the axis of the six images, which may hold more below them; None if they do not lie in order."""
    x = core(x)
    for dim, size in enumerate(x.shape):
        if size and size % IMAGES == 0:
            highest = _split(x, dim).amax([at for at in range(x.dim() + 1) if at != dim])
            if torch.floor((highest + TAG / 2) / TAG).tolist() == list(range(1, IMAGES + 1)):
                return dim
    return None


def images_first(x: Tensor, axis: int | None) -> Tensor | None:
    """Bring the six images, which an axis holds, onto a new first axis; None without an axis."""
    return None if axis is None else _split(core(x), axis).movedim(axis, 0)


def _split(x: Tensor, dim: int) -> Tensor:
    return x.reshape(*x.shape[:dim], IMAGES, x.shape[dim] // IMAGES, *x.shape[dim + 1 :])


def varies(x: Tensor) -> tuple[bool, bool]:
    """Whether the rows that positions see vary over a tensor, and whether the columns do; yes if it cannot be told."""
    images = images_first(x, image_axis(x))
    if images is None:
        return (True, True)
    ends = images[[1, 3]].flatten(1)
    known = is_coordinate(ends)
    highest, lowest = torch.where(known, ends, -torch.inf).amax(1), torch.where(known, ends, torch.inf).amin(1)
    rows, cols = (highest > lowest).tolist()
    return (rows, cols)


def contracted(x: Tensor, dims: Sequence[int], *, is_linear: bool = False) -> Tensor:
    """Sum axes out; they stay, of size 1.

    Args:
        x: The coordinates.
        dims: The axes.
        is_linear: Whether a linear layer does it, for which a map of one position is a vector.

    Returns:
        What the sum depends on: the whole image if no positions are left along the rows or the columns.
    """
    x = core(thin(x))
    found, is_single = x.amax(tuple(dims), keepdim=True), all(x.shape[dim] == 1 for dim in dims)
    if is_single and not is_linear:
        return found
    before = varies(x)
    if is_linear and before == (False, False):
        return everywhere(found)
    if is_single:
        return found
    after = varies(found) if image_axis(found) is not None else (False, False)
    return everywhere(found) if any(was and not now for was, now in zip(before, after, strict=True)) else found


def mixed(x: Tensor, dims: Sequence[int]) -> Tensor:
    """Mix the values along axes, as a softmax does: every position sees the whole image if positions lie along them."""
    varying = core(thin(x)).shape
    return everywhere(x) if any(varying[dim] > 1 for dim in dims) else x


def slid(x: Tensor, dim: int, size: int, reads: tuple[float, float, float]) -> Tensor:
    """Slide a window along an axis.

    Args:
        x: The coordinates, images first.
        dim: The axis.
        size: Its size afterwards.
        reads: (step, low, high): position o reads the positions from o·step + low to o·step + high, both included.
            A fraction lies between two positions; what lies outside of the axis is padding.

    Returns:
        What each position depends on.
    """
    shape = (*x.shape[:dim], size, *x.shape[dim + 1 :])
    if image_axis(x) != 0:
        return everywhere(x.narrow(dim, 0, 1)).expand(shape)
    count, at, images = x.shape[dim], dim + 1, _split(core(x), 0)
    if count > 1 and images.shape[at] == 1:
        return images.flatten(0, 1).expand(shape)
    slope = _slope(images, at)
    is_whole = all(float(number).is_integer() for number in reads)
    found = (_slid_whole if is_whole else _slid_between)(images, at, size, reads, slope)
    for axis in (0, 1):
        if slope[2 * axis + 1].any():
            found[4 + axis] += _jump(found[4 + axis]) * (reads[0] - 1)
    return found.flatten(0, 1).expand(shape)


def _slid_whole(images: Tensor, at: int, size: int, reads: tuple[float, float, float], slope: Tensor) -> Tensor:
    """Slide a window whose ends are positions."""
    step, low, high = (int(number) for number in reads)
    count = images.shape[at]
    before, after = max(-low, 0), max((size - 1) * step + high + 1 - count, 0)
    last = [1] * (images.dim() - at - 1)
    parts = [
        images.narrow(at, 0, 1) - slope * torch.arange(before, 0, -1).view(-1, *last),
        images,
        images.narrow(at, count - 1, 1) + slope * torch.arange(1, after + 1).view(-1, *last),
    ]
    longer = torch.cat(parts, at) if before or after else images
    first = low + before
    used = longer.narrow(at, first, (size - 1) * step + high - low + 1)
    return used.unfold(at, high - low + 1, step).amax(-1)


def _slid_between(images: Tensor, at: int, size: int, reads: tuple[float, float, float], slope: Tensor) -> Tensor:
    """Slide a window whose ends lie between positions."""
    step, low, high = reads
    last = [1] * (images.dim() - at - 1)
    start = torch.arange(size, dtype=torch.float64)[:, None] * step + low
    whole = start.ceil() + torch.arange(ceil(high - low) + 1)
    points = torch.cat([start, torch.minimum(whole, start + (high - low))], 1)
    inside = points.clamp(0, images.shape[at] - 1).flatten()
    share, beyond = inside.frac().view(-1, *last), (points.flatten() - inside).view(-1, *last)
    below, above = (images.index_select(at, index.long()) for index in (inside.floor(), inside.ceil()))
    found = below + (above - below) * share + slope * beyond
    return found.view(*found.shape[:at], *points.shape, *found.shape[at + 1 :]).amax(at + 1)


def _jump(x: Tensor) -> Tensor:
    """Pixels between neighbouring positions, from one of the last two images."""
    return torch.remainder(coordinate(x), GLOBAL)


def _slope(images: Tensor, dim: int) -> Tensor:
    """How much each value grows from one position to the next; from the jump if there is only one position."""
    middle = (images.shape[dim] - 1) // 2
    if images.shape[dim] > 1:
        return images.narrow(dim, middle + 1, 1) - images.narrow(dim, middle, 1)
    slope, axis = torch.zeros_like(images), max(dim - images.dim() + 2, 0)
    slope[2 * axis + 1] = _jump(images[4 + axis])
    slope[2 * axis] = -slope[2 * axis + 1]
    return slope
