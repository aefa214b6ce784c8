"""Copies a network, whatever it holds, and makes it ready to run. The only place that copies one."""

import copy
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy

from lurk.errors import ModelError

SEED = 0


def copied(module: nn.Module, replaced: Mapping[int, object] = MappingProxyType({})) -> nn.Module:
    """Copy a network.

    Args:
        module: The network.
        replaced: What is to stand for some of its parts, by their identity.

    Returns:
        A network that shares nothing with it. Parallel and compiled wrappers inside are left out, tensors that were
        computed are plain ones, and tensors of inference mode are such as gradients can reach.

    Raises:
        ModelError: It holds what cannot be copied, such as an open file.
    """
    try:
        whole = copy.deepcopy(module, {**_replacements(module), **replaced})
        for part in whole.modules():
            original = _compiled(part)
            if original is not None:
                kind = type(part)
                vars(part).pop("forward", None)
                part.__class__ = type(kind.__name__, (kind,), {"forward": original, "__module__": kind.__module__})
        return whole
    except Exception as error:  # the user's own code: it may raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{type(module).__name__} cannot be copied ({reason}); build it without that") from error


def _replacements(module: nn.Module) -> dict[int, object]:
    """What stands in a copy for tensors and parts that must not or cannot be copied as they are, by identity."""
    found: dict[int, object] = {}
    for part in reversed(list(module.modules())):
        for tensor in _tensors(list(vars(part).values())):
            if isinstance(tensor, UninitializedBuffer):
                like = {"device": tensor.device, "dtype": tensor.dtype}
                found[id(tensor)] = UninitializedBuffer(**like)  # type: ignore[arg-type]  # torch's types are wrong
            elif not is_lazy(tensor) and (not tensor.is_leaf or tensor.is_inference()):
                plain = tensor.detach().clone()
                is_weight = isinstance(tensor, nn.Parameter)
                found[id(tensor)] = nn.Parameter(plain, tensor.requires_grad) if is_weight else plain
        inner = unwrapped(part)
        if inner is not part:
            found[id(part)] = copy.deepcopy(inner, found)
    return found


def unwrapped(module: nn.Module) -> nn.Module:
    """The network inside a parallel or compiled wrapper."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def _compiled(part: nn.Module) -> Callable[..., object] | None:
    """The function that `torch.compile` made a module's forward pass of; None if it is not compiled."""
    original = getattr(part.forward, "_torchdynamo_orig_callable", None)
    return getattr(original, "__func__", original)


def _is_bare(part: nn.Module) -> bool:
    """Whether a module is no wrapper and not compiled."""
    return unwrapped(part) is part and part._compiled_call_impl is None and _compiled(part) is None


def needs_copy(module: nn.Module) -> bool:
    """Whether a network can only be watched in a copy: for wrappers, compiled or lazy parts, or inference tensors."""
    tensors = (*module.parameters(), *module.buffers())
    return (
        not all(_is_bare(part) for part in module.modules())
        or any(is_lazy(tensor) for tensor in tensors)
        or any(tensor.is_inference() for tensor in tensors)
    )


def materialise(module: nn.Module, shape: tuple[int, int, int]) -> None:
    """Give lazy parts of a network their shapes by a forward pass.

    Args:
        module: The network.
        shape: (c, h, w) of its input.

    Raises:
        ModelError: The network does not run with that input, or it does not reach all lazy parts.
    """
    lazy = [name for name, weight in (*module.named_parameters(), *module.named_buffers()) if is_lazy(weight)]
    if not lazy:
        return
    dtype = next((weight.dtype for weight in module.parameters() if weight.dtype.is_floating_point), torch.float32)
    training = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            module(torch.zeros(1, *shape, dtype=dtype))
    except Exception as error:  # the user's own code: it may raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"the network has lazy parts and does not run with an input {shape}: {reason}") from error
    finally:
        for part, was in training:
            part.training = was
    rest = [name for name, weight in (*module.named_parameters(), *module.named_buffers()) if is_lazy(weight)]
    if rest:
        raise ModelError(f"the network has lazy parts that an input {shape} does not reach: {', '.join(rest[:3])}")


def _tensors(values: list[object]) -> Iterator[Tensor]:
    """The tensors in values and in the dicts, lists and tuples among them."""
    seen: set[int] = set()
    while values:
        value = values.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            values.extend(value)
        elif isinstance(value, dict):
            values.extend(value.values())
