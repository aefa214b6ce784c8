"""Gradients through a network that turns them off itself, by `torch.no_grad` or `torch.inference_mode`."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch.overrides import TorchFunctionMode


class GradientsOn(TorchFunctionMode):
    """Keeps gradients on in this thread, whatever the code inside says; what is detached stays so.

    >>> with GradientsOn(), torch.no_grad():
    ...     y = torch.ones(1, requires_grad=True) * 2
    >>> y.requires_grad
    True
    """

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Call a function of torch, unless it turns gradients off."""
        if func is torch._C._set_grad_enabled and not args[0]:
            return None
        if torch.is_inference_mode_enabled():
            with torch.inference_mode(False), torch.enable_grad():
                return func(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))
