"""What a module does, in plain words."""

from torch import nn

from lurk.graph.trace import CONVOLUTIONS

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


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
    sides = "×".join(str(side) for side in part.kernel_size)
    words = [f"{sides} {kind}" if len(part.kernel_size) > 1 else f"{kind} of width {sides}"]
    if part.groups > 1:
        words.append("depthwise" if part.groups == part.in_channels else f"{part.groups} groups")
    for name in ("stride", "dilation"):
        sizes = getattr(part, name)
        if max(sizes) > 1:
            words.append(f"{name} {'×'.join(str(size) for size in dict.fromkeys(sizes))}")
    return ", ".join(words)
