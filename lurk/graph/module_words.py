"""What a module does, in plain words."""

from torch import nn

from lurk.graph.trace import CONVOLUTIONS

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
AXES = {1: (nn.Conv1d, nn.ConvTranspose1d), 2: (nn.Conv2d, nn.ConvTranspose2d), 3: (nn.Conv3d, nn.ConvTranspose3d)}


def module_words(part: nn.Module) -> str:
    """Say in plain words what a module does.

    >>> module_words(nn.Conv2d(8, 8, 3, stride=2, groups=8))
    '3×3 convolution, depthwise, stride 2'
    >>> module_words(nn.Conv2d(8, 16, (1, 7)))
    '1×7 convolution'
    >>> module_words(nn.Linear(4, 10))
    'fully connected'

    Args:
        part: The module.

    Returns:
        For a convolution its kernel, groups, stride and dilation; empty for a module that there are no words for.
    """
    if isinstance(part, nn.Linear):
        return "fully connected"
    if not isinstance(part, CONVOLUTIONS) or not hasattr(part, "kernel_size"):
        return ""
    kind = "transposed convolution" if isinstance(part, TRANSPOSED) else "convolution"
    kernel, stride, dilation = (_sizes(part, name) for name in ("kernel_size", "stride", "dilation"))
    words = [f"{'×'.join(kernel)} {kind}" if len(kernel) > 1 else f"{kind} of width {kernel[0]}"]
    if part.groups > 1:
        words.append("depthwise" if part.groups == part.in_channels else f"{part.groups} groups")
    for name, sizes in (("stride", stride), ("dilation", dilation)):
        if set(sizes) != {"1"}:
            words.append(f"{name} {sizes[0] if len(set(sizes)) == 1 else '×'.join(sizes)}")
    return ", ".join(words)


def _sizes(part: nn.Module, name: str) -> list[str]:
    """An attribute of a convolution, as text for each axis; the code of some networks gives one number for all."""
    value = getattr(part, name)
    axes = next(number for number, kinds in AXES.items() if isinstance(part, kinds))
    return [str(size) for size in ([value] * axes if isinstance(value, int) else value)]
