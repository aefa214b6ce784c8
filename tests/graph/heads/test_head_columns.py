import pytest
import torch
from torch import Tensor

from lurk.graph.heads.head_columns import head_columns

N, HEADS, TOKENS, WIDTH = 2, 3, 5, 4
SEPARATE = tuple(tuple(range(head * WIDTH, (head + 1) * WIDTH)) for head in range(HEADS))
MIXED = tuple(tuple(range(head, HEADS * WIDTH, HEADS)) for head in range(HEADS))


def numbered(*shape: int) -> Tensor:
    return torch.arange(torch.Size(shape).numel()).view(shape)


def found(product: Tensor, moved: Tensor, across: int = -1):
    return head_columns(moved.reshape(-1, moved.shape[-1]), product.shape, across % product.dim())


def test_heads_with_an_axis_of_their_own():
    product = numbered(N, HEADS, TOKENS, WIDTH)
    heads = found(product, product.transpose(1, 2).reshape(N, TOKENS, -1))
    assert (heads.columns, heads.axis, heads.across, heads.split) == (SEPARATE, 1, 3, None)


def test_heads_behind_the_tokens():
    product = numbered(N, TOKENS, HEADS, WIDTH)
    heads = found(product, product.reshape(N, TOKENS, -1))
    assert (heads.columns, heads.axis, heads.across, heads.split) == (SEPARATE, 2, 3, None)


def test_channels_before_heads():
    product = numbered(N, HEADS, TOKENS, WIDTH)
    assert found(product, product.permute(0, 2, 3, 1).reshape(N, TOKENS, -1)).columns == MIXED


def test_channels_before_tokens():
    product = numbered(N, HEADS, WIDTH, TOKENS)
    heads = found(product, product.permute(0, 3, 1, 2).reshape(N, TOKENS, -1), across=2)
    assert (heads.columns, heads.axis, heads.across, heads.split) == (SEPARATE, 1, 2, None)


@pytest.mark.parametrize("inner", [True, False])
def test_heads_that_share_an_axis_with_images(inner):
    product = numbered(N * HEADS, TOKENS, WIDTH)
    apart = product.view(N, HEADS, TOKENS, WIDTH) if inner else product.view(HEADS, N, TOKENS, WIDTH).transpose(0, 1)
    heads = found(product, apart.transpose(1, 2).reshape(N, TOKENS, -1))
    assert (heads.columns, heads.across) == (SEPARATE, 3)
    assert (heads.axis, heads.split) == ((1, (0, (-1, HEADS))) if inner else (0, (0, (HEADS, -1))))


def test_a_single_head_gets_an_axis():
    product = numbered(N, TOKENS, WIDTH)
    heads = found(product, product)
    assert (heads.columns, heads.axis, heads.across, heads.split) == (SEPARATE[:1], 1, 3, (0, (-1, 1)))


def test_inputs_that_are_not_of_heads():
    product = numbered(N, HEADS, TOKENS, WIDTH)
    by_row = torch.stack([product.transpose(1, 2)[0].flatten(1), product.transpose(1, 2)[1].flatten(1).roll(1, 1)])
    assert found(product, by_row) is None
    assert found(product, product.transpose(1, 2).reshape(N, TOKENS, -1)[..., 1:]) is None
    assert found(product, product.permute(0, 3, 1, 2).reshape(N, WIDTH, -1)) is None  # channel attention: queries vary
