import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from torch.utils.checkpoint import checkpoint

import lurk
from lurk.errors import LurkError, ModelError
from lurk.methods import METHODS
from lurk.methods.randomization_test import randomize_weights
from lurk.models.copying import copied, needs_copy


class Net(nn.Module):
    """Two convolutions, the second of them through a wrapper."""

    def __init__(self, wrap=lambda part: part) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.conv2 = wrap(nn.Conv2d(4, 6, 3))
        self.fc = nn.Linear(6, 3)
        self.input_shape = (3, 12, 12)

    def body(self, x):
        return self.conv2(self.bn(self.conv1(x)).relu()).relu()

    def forward(self, x):
        return self.fc(self.body(x).mean((2, 3)))


def compiled_by_its_class():
    """Made only when asked for, since the first `torch.compile` imports for seconds."""
    return type("Compiled", (Net,), {"forward": torch.compile(Net.forward)})()


class Autocast(Net):
    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(x)


class Checkpointed(Net):
    def __init__(self, reentrant) -> None:
        super().__init__()
        self.reentrant = reentrant

    def forward(self, x):
        return self.fc(checkpoint(self.body, x, use_reentrant=self.reentrant).mean((2, 3)))


class Keeping(Net):
    def forward(self, x):
        self.seen = {"all": [self.body(x)]}
        return self.fc(self.seen["all"][0].mean((2, 3)))


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv2 = nn.LazyConv2d(6, 3)
        self.bn = nn.LazyBatchNorm2d()
        self.fc = nn.LazyLinear(3)
        self.input_shape = (3, 12, 12)

    def forward(self, x):
        return self.fc(self.bn(self.conv2(x)).relu().flatten(1))


def changed(module, change):
    change(module)
    return module


def run(module):
    module(torch.rand(1, 3, 12, 12))


def in_inference_mode():
    with torch.inference_mode():
        return Net()


def compiled_forward(module):
    module.forward = torch.compile(module.forward)


KINDS = {
    "half": lambda: Net().half(),
    "bfloat16": lambda: Net().bfloat16(),
    "float64": lambda: Net().double(),
    "weight norm": lambda: Net(weight_norm),
    "weight norm that ran": lambda: changed(Net(weight_norm), run),
    "spectral norm": lambda: changed(Net(spectral_norm), run),
    "parametrised weight norm": lambda: Net(parametrizations.weight_norm),
    "parametrised spectral norm": lambda: Net(parametrizations.spectral_norm),
    "orthogonal": lambda: Net(parametrizations.orthogonal),
    "pruned": lambda: Net(lambda part: prune.l1_unstructured(part, "weight", 0.3)),
    "lazy": Lazy,
    "autocast": Autocast,
    "checkpointed": lambda: Checkpointed(False),
    "checkpointed, reentrant": lambda: Checkpointed(True),
    "compiled": lambda: torch.compile(Net()),
    "compiled in place": lambda: changed(Net(), lambda module: module.compile()),
    "compiled inside": lambda: Net(torch.compile),
    "compiled forward pass": lambda: changed(Net(), compiled_forward),
    "compiled by its class": compiled_by_its_class,
    "parallel": lambda: nn.DataParallel(Net()),
    "parallel inside": lambda: Net(nn.DataParallel),
    "inference mode": in_inference_mode,
    "with kept activations": lambda: changed(Keeping(), run),
    "frozen": lambda: Net().requires_grad_(False),
}
FAST = ("autocast", "compiled by its class")
FEW = {"steps": 2, "samples": 2, "size": 4, "stride": 4, "masks": 4}
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")


def made(kind):
    torch.manual_seed(0)
    return KINDS[kind]()


def plain(module):
    return getattr(module, "_orig_mod", getattr(module, "module", module))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "compiled" not in kind])
def test_a_network_computes_as_it_does_by_itself(kind):
    given = made(kind)
    model = lurk.load_model(given)
    image = torch.rand(2, 3, 12, 12, dtype=model.dtype)
    if kind == "lazy":
        assert isinstance(given.fc, nn.LazyLinear)
        assert model.module.fc.in_features == 600
    else:
        with torch.no_grad():
            assert torch.equal(model.module.eval()(image), plain(given).eval()(image))
    assert {"conv2", "fc"} <= {layer.name for layer in model.layers}
    assert not any("module" in layer.name for layer in model.layers)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "compiled" in kind])
def test_a_compiled_network_is_watched_as_it_was_before(kind):
    model = lurk.load_model(made(kind))
    torch.manual_seed(0)
    expected = Net().eval()
    image = torch.rand(2, 3, 12, 12)
    assert torch.equal(model.module.eval()(image), expected(image))
    assert [layer.name for layer in model.layers] == ["conv1", "conv2", "fc"]
    assert {layer.tap for layer in model.layers} == {"post"}


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.slow) if k not in FAST else k for k in KINDS])
def test_every_method_works_or_is_refused_in_one_line(kind):
    model = lurk.load_model(made(kind))
    image, refusals = torch.rand(3, 12, 12), {}
    for name in METHODS:
        spec = METHODS[name].spec
        options = {key: FEW[key] for key in (option.name for option in spec.options) if key in FEW}
        try:
            if spec.gives == "map":
                values = lurk.attribute(model, image, "fc", 1, method=name, quantiles={0.995: 0.0}, **options)
            else:
                given = {"image": image} if "image" in spec.needs else {}
                layer = "fc" if "layer" in spec.needs else ""
                values = lurk.visualize(model, layer, [1], method=name, **given, **options)
            assert torch.isfinite(torch.as_tensor(values, dtype=torch.float32)).all(), name
        except LurkError as error:
            refusals[name] = str(error)
    assert not any("\n" in reason for reason in refusals.values())
    assert ("autocast" in refusals.get("lrp", "")) == (kind == "autocast")
    assert len(refusals) <= 7
    randomized, _ = randomize_weights(model, model.plan(), 0)
    assert randomized.module is not model.module


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_weights_fills_every_kind_and_leaves_the_given_network_alone(tmp_path, kind):
    given = made(kind)
    source = lurk.load_model(given).module
    state = {name: value + 1 if value.is_floating_point() else value for name, value in source.state_dict().items()}
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "a.pth")
    model = lurk.load_model(given, weights=tmp_path / "a.pth")
    assert all(torch.equal(value, state[name]) for name, value in model.module.state_dict().items())
    assert model.module is not given
    if kind not in ("lazy", "inference mode"):
        own = plain(given).state_dict()
        assert not any(
            torch.equal(value, own[name]) for name, value in state.items() if name in own and name.endswith("bias")
        )


def test_a_copy_shares_nothing_and_wrappers_are_left_out():
    module = Net(nn.DataParallel)
    assert needs_copy(module)
    copy = copied(module)
    assert isinstance(copy.conv2, nn.Conv2d)
    assert isinstance(module.conv2, nn.DataParallel)
    with torch.no_grad():
        copy.conv2.weight.zero_()
    assert module.conv2.module.weight.abs().sum() > 0
    assert not needs_copy(Net())


def test_what_cannot_be_copied_is_told_in_one_line(tmp_path):
    module = Net()
    module.log = (tmp_path / "log").open("w")
    assert lurk.load_model(module).module is module
    torch.save(module.state_dict(), tmp_path / "a.pth")
    with pytest.raises(ModelError, match="Net cannot be copied"):
        lurk.load_model(module, weights=tmp_path / "a.pth")
    module.log.close()


def test_a_lazy_part_that_no_input_reaches_is_told():
    class Unused(Lazy):
        def forward(self, x):
            return self.conv2(x)

    with pytest.raises(ModelError, match=r"does not reach: bn\.weight"):
        lurk.load_model(Unused())
    with pytest.raises(ModelError, match="does not run with an input"):
        lurk.load_model(Lazy(), input_shape=(3, 2, 2))


def quantised(how):
    module = nn.Sequential(
        torch.ao.quantization.QuantStub(), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)
    )
    module.eval()
    if how == "dynamic":
        return torch.ao.quantization.quantize_dynamic(module, {nn.Linear}, torch.qint8)
    module.qconfig = torch.ao.quantization.get_default_qconfig("qnnpack")
    torch.backends.quantized.engine = "qnnpack"
    prepared = torch.ao.quantization.prepare(module)
    prepared(torch.rand(1, 3, 3, 3))
    return torch.ao.quantization.convert(prepared)


@pytest.mark.parametrize("how", ["dynamic", "static"])
def test_a_quantised_network_is_refused_for_what_it_is(how):
    with pytest.raises(ModelError, match=r"is quantised \(\w+ at '\d'\): it computes with integers"):
        lurk.load_model(quantised(how), input_shape=(3, 3, 3))


def test_weights_without_values_are_refused():
    with torch.device("meta"):
        module = Net()
    with pytest.raises(ModelError, match="weights without values, on the meta device, at 'conv1'"):
        lurk.load_model(module)


def test_complex_weights_are_no_quantised_ones():
    class Complex(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.weight = nn.Conv2d(3, 4, 3), nn.Parameter(torch.ones(4, 2, dtype=torch.complex64))

        def forward(self, x):
            return (self.conv(x).mean((2, 3)).to(torch.complex64) @ self.weight).abs()

    assert [layer.name for layer in lurk.load_model(Complex(), input_shape=(3, 8, 8)).layers] == ["conv"]
