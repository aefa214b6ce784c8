"""Where heads are found, against what attention modules give with all but one head's part of the projection at 0."""

import copy
import itertools
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from lurk.graph.layers import find_layers
from lurk.graph.plan import Plan
from tests.graph.test_activation_taps import activations


def one_head_at_a_time(network: nn.Module, attention: str, projection: str, heads: int, image: Tensor) -> Tensor:
    """What each head writes, by running the attention with the other heads' weights at 0: its norm, (n, heads, …)."""
    part, given = network.get_submodule(attention), []
    handle = part.register_forward_pre_hook(lambda _part, args, named: given.append((args, named)), with_kwargs=True)
    with torch.no_grad():
        network(image)
        handle.remove()
        norms = []
        for head in range(heads):
            alone = copy.deepcopy(part)
            linear = alone.get_submodule(projection)
            width = linear.in_features // heads
            kept = torch.zeros_like(linear.weight)
            kept[:, head * width : (head + 1) * width] = linear.weight[:, head * width : (head + 1) * width]
            linear.weight.copy_(kept)
            if linear.bias is not None:
                linear.bias.zero_()
            args, named = given[0]
            output = alone(*args, **named)
            norms.append((output[0] if isinstance(output, tuple) else output).norm(dim=-1))
    return torch.stack(norms, 1)


def planned(network: nn.Module, shape: tuple[int, ...], n: int = 2) -> tuple[Plan, dict[str, Tensor], Tensor]:
    network.eval()
    plan, image = find_layers(network, shape), torch.randn(n, *shape)
    seen, _ = activations(plan, image)
    return plan, {name: value for name, value in seen.items() if ":heads" in name}, image


class Encoder(nn.Module):
    """A patch embedding and attention from torch, with the tokens or the images first."""

    def __init__(self, inner: Callable[[bool], nn.Module], *, first: bool) -> None:
        super().__init__()
        self.patch, self.inner, self.first = nn.Conv2d(3, 24, 4, 4), inner(first), first

    def forward(self, image: Tensor) -> Tensor:
        x = self.patch(image).flatten(2)
        x = x.permute(0, 2, 1) if self.first else x.permute(2, 0, 1)
        given = (x, x, x) if isinstance(self.inner, nn.MultiheadAttention) else (x,)
        output = self.inner(*given)
        return (output[0] if isinstance(output, tuple) else output).mean(1 if self.first else 0)


def layer(first: bool) -> nn.Module:
    return nn.TransformerEncoder(
        nn.TransformerEncoderLayer(24, 4, 48, batch_first=first), 2, enable_nested_tensor=False
    )


INNER = {
    "encoder": (layer, "inner.layers.1.self_attn"),
    "attention": (lambda first: nn.MultiheadAttention(24, 4, batch_first=first), "inner"),
    "no bias": (lambda first: nn.MultiheadAttention(24, 4, batch_first=first, bias=False), "inner"),
    "more keys": (lambda first: nn.MultiheadAttention(24, 4, batch_first=first, add_bias_kv=True), "inner"),
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", INNER)
def test_heads_of_attention_in_torch(kind, first):
    torch.manual_seed(0)
    make, name = INNER[kind]
    network = Encoder(make, first=first).eval()
    _, seen, image = planned(network, (3, 16, 24))
    expected = one_head_at_a_time(network, name, "out_proj", 4, image)  # (n or tokens, heads, tokens or n)
    expected = expected if first else expected.transpose(0, 2)
    torch.testing.assert_close(seen[f"{name}:heads"], expected.unflatten(2, (4, 6)))


def test_heads_of_a_vit_with_a_class_token():
    torch.manual_seed(0)
    network = torchvision.models.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=5)
    plan, seen, image = planned(network, (3, 32, 32))
    name = "encoder.layers.encoder_layer_1.self_attention"
    expected = one_head_at_a_time(network, name, "out_proj", 4, image)
    torch.testing.assert_close(seen[f"{name}:heads"], expected[:, :, 1:].unflatten(2, (4, 4)))
    torch.testing.assert_close(seen[f"{name}:heads:class"], expected[:, :, :1, None])
    info = next(layer for layer in plan.layers if layer.name == f"{name}:heads")
    assert (info.kind, info.units, info.shape, info.grid) == ("MultiheadAttention", 4, (4, 17), (4, 4))
    assert (info.heads, info.rectified, info.class_scores, info.receptive_field) == (True, False, False, None)
    names = [layer.name for layer in plan.layers]
    assert names.index(name + ":heads") < names.index("encoder.layers.encoder_layer_1.mlp.0")


@pytest.mark.parametrize("version", ["", "V2"])
def test_windows_and_shifted_windows_are_put_together(version):
    torch.manual_seed(0)
    swin = torchvision.models.swin_transformer
    parts = {"block": swin.SwinTransformerBlockV2, "downsample_layer": swin.PatchMergingV2} if version else {}
    network = swin.SwinTransformer([4, 4], 24, [2, 2], [2, 4], [4, 4], num_classes=5, **parts)
    _, seen, image = planned(network, (3, 64, 48))
    for name, heads in (("features.1.0.attn", 2), ("features.1.1.attn", 2), ("features.3.1.attn", 4)):
        expected = one_head_at_a_time(network, name, "proj", heads, image)  # torchvision undoes windows and shifts
        torch.testing.assert_close(seen[f"{name}:heads"], expected)


class ByHand(nn.Module):
    """Attention as people write it; bright patches are alike and dark ones are, so each looks at its own kind.

    The first head passes on how bright the patch is, the second gives 1 everywhere.
    """

    def __init__(self, kind: str, registers: int = 0) -> None:
        super().__init__()
        self.kind, self.embed, self.out = kind, nn.Conv2d(1, 4, 2, 2), nn.Linear(4, 4)
        self.reg = nn.Parameter(torch.zeros(1, registers, 4))
        with torch.no_grad():
            self.embed.weight.zero_()[:2] = torch.tensor([0.25, -0.25]).view(2, 1, 1, 1)
            self.embed.bias.copy_(torch.tensor([0.0, 1, 1, 0]))
            self.reg[..., 3] = 1
            self.out.weight.copy_(torch.eye(4))

    def forward(self, image: Tensor) -> Tensor:
        x = self.embed(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.reg.expand(x.shape[0], -1, -1), x], 1)
        n, tokens, _ = x.shape
        k = torch.stack([x, x], 1) * 30  # (n, heads, tokens, channels)
        v = torch.stack([x[..., :1].expand(-1, -1, 2), x[..., 2:]], 1)
        if self.kind == "einsum":
            shares = torch.einsum("n h q c, n h k c -> n h q k", k, k).softmax(-1)
            z = torch.einsum("nhqk,nhkc->nqhc", shares, v).reshape(n, tokens, 4)
        elif self.kind == "fused":
            z = functional.scaled_dot_product_attention(k, k, v).transpose(1, 2).reshape(n, tokens, 4)
        elif self.kind == "grouped":
            z = functional.scaled_dot_product_attention(k, k[:, :1], v[:, :1], enable_gqa=True)
            z = z.transpose(1, 2).reshape(n, tokens, 4)
        elif self.kind == "heads first":
            k, v = (part.transpose(0, 1).reshape(2 * n, tokens, -1) for part in (k, v))
            z = torch.bmm(torch.bmm(k, k.mT).softmax(2), v).view(2, n, tokens, 2).permute(1, 2, 0, 3).flatten(2)
        else:
            z = (functional.dropout((k @ k.mT).softmax(-1), 0.1, self.training) @ v).transpose(1, 2).flatten(2)
        return self.out(z)[:, 0]


@pytest.mark.parametrize("registers", [0, 3])
@pytest.mark.parametrize("kind", ["by hand", "einsum", "fused", "grouped", "heads first"])
def test_a_head_that_passes_its_own_token_through_is_highest_at_the_bright_patch(kind, registers):
    plan = find_layers(ByHand(kind, registers).eval(), (1, 6, 8))
    for row, col in itertools.product(range(3), range(4)):
        image = torch.zeros(1, 1, 6, 8)
        image[..., 2 * row : 2 * row + 2, 2 * col : 2 * col + 2] = 1
        seen, _ = activations(plan, image)
        expected = torch.zeros(3, 4)
        expected[row, col] = 2**0.5
        torch.testing.assert_close(seen["heads"][0, 0], expected, atol=1e-5, rtol=0)
    extras = [name for name in seen if name.startswith("heads:")]
    assert extras == ["heads:register1", "heads:register2", "heads:register3"][:registers]


class Pooled(nn.Module):
    """Attention whose query is no position of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.query = nn.Conv2d(1, 4, 2, 2), nn.Parameter(torch.randn(1, 12, 4))
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, image: Tensor) -> Tensor:
        x = self.embed(image).flatten(2).transpose(1, 2)
        return self.attention(self.query.expand(x.shape[0], -1, -1), x, x)[0].mean(1)


class Normed(ByHand):
    """What heads give is normalised before the projection, which mixes them."""

    def __init__(self) -> None:
        super().__init__("by hand")
        self.out = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4))


class Channels(ByHand):
    """Attention of channels to channels."""

    def forward(self, image: Tensor) -> Tensor:
        x = self.embed(image).flatten(2).unflatten(1, (2, 2))
        z = (x @ x.mT).softmax(3) @ x
        return self.out(z.permute(0, 3, 1, 2).flatten(2))[:, 0]


@pytest.mark.parametrize("network", [Pooled(), Normed(), Channels("")], ids=["pooled", "normed", "channels"])
def test_what_is_no_head_of_a_position_is_no_layer(network):
    plan = find_layers(network.eval(), (1, 6, 8))
    assert plan.graph is not None
    assert not [layer.name for layer in plan.layers if layer.heads]


def test_an_expression_chooses_heads():
    network = torchvision.models.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=5).eval()
    names = [layer.name for layer in find_layers(network, (3, 32, 32), r"layer_1\.self_attention:heads$").layers]
    assert names == [f"encoder.layers.encoder_layer_1.self_attention:heads{token}" for token in ("", ":class")]
    assert not any(":heads" in layer.name for layer in find_layers(network, (3, 32, 32), r"mlp\.0").layers)


def test_heads_of_networks_from_timm():
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    options = {"img_size": 28, "depth": 2, "embed_dim": 24, "num_heads": 4, "qk_norm": True}
    network = timm.create_model("vit_base_patch14_reg4_dinov2", **options)
    _, seen, image = planned(network, (3, 28, 28))
    expected = one_head_at_a_time(network, "blocks.1.attn", "proj", 4, image)
    torch.testing.assert_close(seen["blocks.1.attn:heads"], expected[:, :, 5:].unflatten(2, (2, 2)))
    torch.testing.assert_close(seen["blocks.1.attn:heads:register4"], expected[:, :, 4:5, None])


@pytest.mark.slow
def test_heads_of_networks_from_transformers():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 28, "patch_size": 7}
    config = transformers.Dinov2WithRegistersConfig(**sizes, num_register_tokens=2)
    network = transformers.Dinov2WithRegistersForImageClassification(config)
    _, seen, image = planned(network, (3, 28, 28))
    name = "dinov2_with_registers.encoder.layer.1.attention"
    expected = one_head_at_a_time(network, name, "o_proj", 4, image)
    torch.testing.assert_close(seen[f"{name}:heads"], expected[:, :, 3:].unflatten(2, (4, 4)))
    torch.testing.assert_close(seen[f"{name}:heads:register2"], expected[:, :, 2:3, None])
