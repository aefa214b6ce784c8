"""How much each attention head writes at each position: the norm of its part of what the output projection gives.

The product z of a head's attention weights and values enters the projection by some of its columns, W. The value of the
head is |W z|, without the projection's bias (Kobayashi et al., 2020, arXiv 2004.10102). With W = QR and Q orthonormal
that is |R z|, and R is far smaller than W.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, fx
from torch.fx.node import Argument

from lurk.graph.device import device_of, dtype_of
from lurk.graph.plan import Heads, Plan, result

Read = Callable[[Tensor], Tensor]
Attribute = Callable[[str], object]


def reader(plan: Plan, heads: Heads | None) -> Read:
    """Return the function that makes a layer's raw value of the value of its tap's node.

    Args:
        plan: The model, whose weights are read now.
        heads: The heads of the tap, if it has any.

    Returns:
        The function; of a layer that has no heads it returns what it is given.
    """
    if heads is None or plan.graph is None:
        return lambda value: value
    node = next(node for node in plan.graph.nodes if node.name == heads.projection)
    like = torch.zeros((), dtype=dtype_of(plan.module), device=device_of(plan.module))
    factors = _factors(projection_weights(node, heads, plan.attribute, like), heads)
    return lambda value: _norms(value, heads, factors)


def projection_weights(node: fx.Node, heads: Heads, attribute: Attribute, like: Tensor) -> Tensor:
    """Find the matrix by which an output projection multiplies: of those that it reads, the one that is its derivative.

    Args:
        node: The projection in the graph.
        heads: The heads that it projects.
        attribute: Returns the weight or module of a dotted name.
        like: Tensor of the projection's type and device.

    Returns:
        float (outputs, inputs).

    Raises:
        ValueError: There is none.
    """

    def computed(used: fx.Node) -> object:
        if used.name == heads.entering:
            return x
        args, kwargs = fx.node.map_arg((used.args, used.kwargs), lambda one: cast(Argument, computed(one)))
        return result(used, args, kwargs, attribute)

    width = sum(map(len, heads.columns))
    with torch.inference_mode(False), torch.enable_grad():
        x = like.new_zeros(1, *[1] * (heads.rank - 2), width).requires_grad_()
        output = cast(Tensor, computed(node)).flatten()
        mixed = torch.randn(len(output), generator=torch.Generator().manual_seed(0)).to(output)
        (derivative,) = torch.autograd.grad(output, x, mixed)
    read = [getattr(attribute(str(node.target)), "weight", None)] if node.op == "call_module" else []
    read += [computed(used) for used in node.all_input_nodes if used.name != heads.entering]
    matrices = [matrix.detach() for matrix in read if isinstance(matrix, Tensor) and matrix.dim() == 2]
    for weights in [*matrices, *(matrix.t() for matrix in matrices)]:
        if weights.shape == (len(output), width) and _are_close(mixed @ weights, derivative.flatten()):
            return weights
    raise ValueError(f"{node} multiplies by no matrix that it reads")


def _are_close(one: Tensor, two: Tensor) -> bool:
    tolerance = 100 * torch.finfo(one.dtype).eps
    return torch.allclose(one, two, rtol=tolerance, atol=tolerance * float(two.abs().max()))


def _factors(weights: Tensor, heads: Heads) -> Tensor:
    """The transposed R of each head, float32 or finer (heads, d, k)."""
    parts = weights[:, torch.tensor(heads.columns, device=weights.device)].movedim(1, 0)  # (heads, outputs, d)
    fine = parts.to(torch.promote_types(parts.dtype, torch.float32))
    factors: Tensor = torch.linalg.qr(fine, mode="r")[1]
    return factors.transpose(1, 2)


def taken_apart(product: Tensor, heads: Heads) -> Tensor:
    """Give heads an axis of their own in a product of attention weights and values."""
    if heads.split is None:
        return product
    axis, sizes = heads.split
    shape = product.shape
    return product.view(*shape[:axis], *sizes, *shape[axis + 1 :])


def _norms(value: Tensor, heads: Heads, factors: Tensor) -> Tensor:
    """Turn a product of attention weights and values into norms: its axes without that of the values' channels."""
    value = taken_apart(value, heads)
    z = value.movedim((heads.axis, heads.across), (0, -1))  # (heads, …, d)
    written = z.flatten(1, -2).to(factors.dtype) @ factors
    norms: Tensor = torch.linalg.vector_norm(written, dim=-1).view(z.shape[:-1])
    return norms.movedim(0, heads.axis - (heads.across < heads.axis))
