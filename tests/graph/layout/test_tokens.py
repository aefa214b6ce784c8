"""Tokens with and without positions, in hand-made transformers whose best position is planted."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lurk.graph.hooks import tapped
from lurk.graph.layers import find_layers
from lurk.graph.layout.tokens import Positions, Sequences, is_map, positions_by_coordinates
from lurk.graph.receptive.coordinates import image_coordinates

SIDE, WIDTH = 4, 8
SPLITS = [(0, 0), (1, 0), (2, 0), (5, 0), (0, 1), (0, 2), (4, 1), (2, 3)]


class Mixing(nn.Module):
    """A transformer block whose attention is weak, so that the planted position stays the best."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.whole = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.up, self.down = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        with torch.no_grad():
            self.up.weight.copy_(torch.eye(WIDTH))
            for part in (self.out, self.down, self.whole.out_proj):
                part.weight.mul_(0.01)

    def mixed(self, x: Tensor) -> Tensor:
        n, count, width = x.shape
        if self.kind == "module":
            return self.whole(x, x, x, need_weights=False)[0]
        q, k, v = self.qkv(x).reshape(n, count, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        if self.kind == "one call":
            found = functional.scaled_dot_product_attention(q, k, v)
        else:
            found = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return self.out(found.transpose(1, 2).reshape(n, count, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixed(x)
        return x + self.down(functional.relu(self.up(x)))


class Transformer(nn.Module):
    """Extra tokens before and after the positions; the first channel of a position is its brightness."""

    def __init__(self, before: int, after: int, kind: str = "by hand", *, branches: bool = False) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, WIDTH, SIDE, SIDE)
        self.before, self.after = (nn.Parameter(torch.randn(1, n, WIDTH) * 0.1) for n in (before, after))
        self.blocks = nn.ModuleList([Mixing(kind), Mixing(kind)])
        self.norm, self.head, self.branches = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 5), branches
        with torch.no_grad():
            self.embed.weight[0] = 1 / SIDE**2
            self.embed.bias.zero_()

    def forward(self, image: Tensor) -> Tensor:
        if self.branches and image.sum() > 1e9:
            image = image * 2
        x = self.embed(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.before.expand(x.shape[0], -1, -1), x, self.after.expand(x.shape[0], -1, -1)], 1)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


def planted(rows: int, cols: int, row: int, col: int) -> Tensor:
    image = torch.zeros(1, 1, rows * SIDE, cols * SIDE)
    image[..., row * SIDE : (row + 1) * SIDE, col * SIDE : (col + 1) * SIDE] = 5.0
    return image


def made(seed: int, *given, **more) -> nn.Module:
    torch.manual_seed(seed)
    return Transformer(*given, **more).eval()


def values_of(plan, image: Tensor) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}
    with torch.no_grad(), tapped(plan, lambda at, value: seen.update({plan.layers[at].name: value.clone()})) as forward:
        forward(image)
    return seen


def extra_names(before: int, after: int) -> list[str]:
    return ["class", *(f"register{n + 1}" for n in range(before + after - 1))][: before + after]


@pytest.mark.parametrize("branches", [False, True], ids=["traced", "raw"])
@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_the_best_position_is_where_it_was_planted(split, branches):
    rows, cols, row, col = 3, 5, 2, 3
    module = made(0, *split, branches=branches)
    plan = find_layers(module, (1, rows * SIDE, cols * SIDE))
    assert (plan.graph is None) == branches
    found, image = values_of(plan, planted(rows, cols, row, col)), planted(rows, cols, row, col)
    for block in (0, 1):
        name = f"blocks.{block}.up"
        best = found[name][0, 0]
        assert best.shape == (rows, cols)
        assert divmod(int(best.argmax()), cols) == (row, col)
        extras = [layer.name for layer in plan.layers if layer.name.startswith(f"{name}:")]
        assert extras == [f"{name}:{extra}" for extra in extra_names(*split)]
    info = next(layer for layer in plan.layers if layer.name == "embed")
    assert branches or info.box(row, col, (rows * SIDE, cols * SIDE)) == (8, 12, 12, 16)
    hidden = raw_output(module, "blocks.0.up", image)
    expected = hidden.relu() if not branches else hidden
    whole = list(expected[0].unbind(0))  # by hand: extra tokens before, positions row by row, extra tokens after
    before, after = split
    body = torch.stack(whole[before : before + rows * cols], 1).view(WIDTH, rows, cols)
    assert torch.allclose(found["blocks.0.up"][0], body, atol=1e-6)
    for name, value in zip(extra_names(*split), whole[:before] + whole[len(whole) - after :], strict=True):
        assert torch.allclose(found[f"blocks.0.up:{name}"].flatten(), value, atol=1e-6), name


def raw_output(module: nn.Module, name: str, image: Tensor) -> Tensor:
    kept = []
    hook = module.get_submodule(name).register_forward_hook(lambda _part, _given, output: kept.append(output.clone()))
    with torch.no_grad():
        module(image)
    hook.remove()
    return kept[0]


@pytest.mark.parametrize("branches", [False, True], ids=["traced", "raw"])
@pytest.mark.parametrize("kind", ["by hand", "one call", "module"])
@pytest.mark.parametrize("grid", [(3, 5), (5, 3), (1, 6), (6, 1), (4, 4)], ids=str)
def test_positions_pass_through_every_way_to_write_attention(kind, grid, branches):
    rows, cols = grid
    plan = find_layers(made(1, 2, 1, kind, branches=branches), (1, rows * SIDE, cols * SIDE))
    for row, col in ((0, 0), (rows - 1, cols - 1), (rows // 2, cols // 3)):
        found = values_of(plan, planted(rows, cols, row, col))["blocks.1.up"][0, 0]
        assert found.shape == grid
        assert divmod(int(found.argmax()), cols) == (row, col)


class Named(Transformer):
    """Registers before the positions, a distillation and a class token after them."""

    def __init__(self) -> None:
        super().__init__(0, 0)
        self.reg_token, self.dist_token, self.cls_token = (nn.Parameter(torch.randn(1, n, WIDTH)) for n in (2, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        x = self.embed(image).flatten(2).transpose(1, 2)
        reg, dist, cls = (
            token.expand(x.shape[0], -1, -1) for token in (self.reg_token, self.dist_token, self.cls_token)
        )
        x = torch.cat([reg, x, dist], dim=1)
        for block in self.blocks[:1]:
            x = block(x)
        return self.head(self.blocks[1](torch.cat((x, cls), 1))[:, -1])


def test_tokens_are_named_by_their_parameters():
    torch.manual_seed(0)
    names = [layer.name for layer in find_layers(Named().eval(), (1, 12, 20)).layers]
    assert [name for name in names if name.startswith("blocks.0.up")] == [
        *("blocks.0.up", "blocks.0.up:register1", "blocks.0.up:register2", "blocks.0.up:distillation")
    ]


class Mean(Transformer):
    """Its class token is the mean of all positions, which sees the whole image."""

    def forward(self, image: Tensor) -> Tensor:
        x = self.embed(image).flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(1, keepdim=True), x], 1)
        return self.head(self.blocks[0](x)[:, 0])


def test_a_token_that_sees_the_whole_image_has_no_position():
    torch.manual_seed(0)
    plan = find_layers(Mean(0, 0).eval(), (1, 12, 20))
    grids = {layer.name: layer.grid for layer in plan.layers}
    assert (grids["blocks.0.up"], grids["blocks.0.up:class"]) == ((3, 5), (1, 1))


def test_a_regular_expression_chooses_a_layer_with_its_tokens():
    module = made(0, 2, 0)
    names = [layer.name for layer in find_layers(module, (1, 12, 20), r"blocks\.1\.up$").layers]
    assert names == ["blocks.1.up", "blocks.1.up:class", "blocks.1.up:register1"]
    assert find_layers(module, (1, 12, 20), "register1").layers[0].name == "blocks.0.qkv:register1"


def test_without_coordinates_the_last_sequence_tells():
    sequences, constant = Sequences(), {9: [0, 7, 8]}

    def find(count: int) -> Positions | None:
        return sequences.find(count, None, grids=lambda: [(4, 6), (2, 3)], constant=constant)

    found = [(one.grid, one.extras) for one in (find(24), find(25), find(9), find(27))]
    assert found == [((4, 6), []), ((4, 6), [0]), ((2, 3), [0, 7, 8]), ((4, 6), [0, 25, 26])]
    assert find(17) is None
    assert Positions((2, 3), (1, 2, 3, 4, 5, 6), 9).extras == [0, 7, 8]


def test_a_constant_has_no_positions():
    assert positions_by_coordinates(torch.zeros(6, 9, 4, dtype=torch.float64), 2) is None


def test_a_map_is_in_order_exactly_if_its_positions_are():
    field = image_coordinates((3, 2, 3))
    changed = {
        (0, 1, 2, 3, 4, 5): field,
        (3, 4, 5, 0, 1, 2): field.flip(2),
        (2, 1, 0, 5, 4, 3): field.flip(3),
        (0, 2, 4, 1, 3, 5): field.transpose(2, 3),
        (2, 0, 1, 5, 3, 4): field.roll(2, 3),
    }
    for index, moved in changed.items():
        assert positions_by_coordinates(moved, 1) == Positions((2, 3), index, 6)
        assert is_map(moved, 1) == (index == tuple(range(6)))
    assert is_map(field.movedim(1, 3), 3)


class Windows(nn.Module):
    """Puts the windows of a shifted map along the axis of the images, as Swin does, or a map's columns before rows."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.embed, self.up, self.way = nn.Conv2d(1, WIDTH, SIDE, SIDE), nn.Linear(WIDTH, WIDTH), way
        with torch.no_grad():
            self.embed.weight[0], self.up.weight[:] = 1 / SIDE**2, torch.eye(WIDTH)
            self.embed.bias.zero_()

    def forward(self, image: Tensor) -> Tensor:
        x = self.embed(image)
        n, c, h, w = x.shape
        if self.way == "windows":
            x = x.permute(0, 2, 3, 1).roll((-1, -1), (1, 2)).view(n, h // 2, 2, w // 2, 2, c)
            return self.up(x.permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, c)).sum()
        if self.way == "turned by 90 degrees":
            return self.up(x.rot90(1, (2, 3)).permute(0, 2, 3, 1))
        if self.way == "columns first":
            return self.up(x.permute(0, 3, 2, 1).reshape(n, w * h, c))
        return self.up(x.permute(0, 3, 2, 1))


@pytest.mark.parametrize("way", ["windows", "columns first", "turned map", "turned by 90 degrees"])
def test_positions_in_another_order_are_put_into_rows_and_columns(way):
    rows, cols = 4, 6
    plan = find_layers(Windows(way).eval(), (1, rows * SIDE, cols * SIDE))
    info = next(layer for layer in plan.layers if layer.name == "up")
    assert info.grid == (rows, cols)
    for row in range(rows):
        for col in range(cols):
            found = values_of(plan, planted(rows, cols, row, col))["up"][0, 0]
            assert divmod(int(found.argmax()), cols) == (row, col)
