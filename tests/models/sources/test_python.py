import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import transforms

import lurk
from lurk.errors import ModelError, WeightsError

NET = """
    import torch
    from torch import nn
    from torchvision import transforms

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return torch.relu(self.conv(x)).mean((2, 3))

    steps = transforms.Compose([transforms.Resize((12, 16)), transforms.ToTensor()])
    ready = Net()

    def plain():
        return Net()

    def with_steps():
        return Net(), steps

    def with_classes():
        return Net(), steps, ["a", "b", "c", "d"]

    def carrying():
        net = Net()
        net.preprocess, net.classes, net.input_shape = steps, ("a", "b"), (3, 12, 16)
        return net

    def model():
        import lurk
        return lurk.load_model(Net(), preprocess=steps, classes=["x"], name="mine")

    def fails():
        return 1 / 0

    def leaves():
        raise SystemExit(3)

    def nothing():
        return None

    def four():
        return Net(), steps, ["a"], 4

    def bad_classes():
        return Net(), steps, "abcd"

    def needs(argument):
        return Net()

    number = 5
"""


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(textwrap.dedent(NET))
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "made.py").write_text(textwrap.dedent(NET))
    return tmp_path / "net.py"


@pytest.fixture(autouse=True)
def fresh_modules():
    before, path = set(sys.modules), list(sys.path)
    yield
    assert sys.path == path
    for name in set(sys.modules) - before:
        if name.startswith(("pack", "broken", "lurk_user", "beside")):
            del sys.modules[name]


@pytest.mark.parametrize("place", ["net.py", "./net.py", "{}", "pack.made"])
def test_a_factory_by_file_or_module(file, place):
    model = lurk.load_model(f"{place.format(file)}:with_classes")
    assert model.input_shape == (3, 12, 16)
    assert model.classes == ("a", "b", "c", "d")
    assert model.name in ("net:with_classes", "made:with_classes")
    assert (model.module.training, model.weights) == (False, "as the factory made it")
    assert (model.mean, model.std) == ((0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize(
    ("factory", "classes", "shape"),
    [
        ("plain", None, (3, 224, 224)),
        ("Net", None, (3, 224, 224)),
        ("ready", None, (3, 224, 224)),
        ("with_steps", None, (3, 12, 16)),
        ("carrying", ("a", "b"), (3, 12, 16)),
        ("model", ("x",), (3, 12, 16)),
    ],
)
def test_what_a_factory_may_give(file, factory, classes, shape):
    model = lurk.load_model(f"net.py:{factory}")
    assert (model.classes, model.input_shape) == (classes, shape)
    assert ("assumed" in model.notice) == (shape == (3, 224, 224))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("none.py:make", "there is no file"),
        ("net.py:none", "there is no 'none'; it has Net, ready, plain"),
        ("net.py", "say which: net.py:Net"),
        ("net.py:", "names no factory"),
        ("net.py:fails", r"ZeroDivisionError: division by zero \(net.py line \d+\)"),
        ("net.py:leaves", "SystemExit: 3"),
        ("net.py:nothing", "gives NoneType"),
        ("net.py:four", "gives"),
        ("net.py:bad_classes", "classes is to be a list"),
        ("net.py:needs", "argument"),
        ("net.py:number", "is int, not a function"),
        ("pack.none:make", "ModuleNotFoundError"),
        ("no_such_package.x:make", "No module named"),
        ("pack/made:make", "neither a module's name nor a file"),
        (":make", "neither a module's name nor a file"),
        ("broken.py:make", "broken.py line 2"),
        ("raising.py:make", r"RuntimeError: at import \(raising.py line 1\)"),
        ("missing.py:make", "No module named 'nowhere_at_all'"),
    ],
)
def test_every_mistake_is_one_clear_line(file, source, reason):
    (file.parent / "broken.py").write_text("x = 1\ndef make(:\n")
    (file.parent / "raising.py").write_text("raise RuntimeError('at import')\n")
    (file.parent / "missing.py").write_text("import nowhere_at_all\n")
    with pytest.raises(ModelError, match=reason) as caught:
        lurk.load_model(source)
    assert "\n" not in str(caught.value)
    assert source.rstrip(":") in str(caught.value)


def test_a_file_may_import_the_files_beside_it(tmp_path):
    (tmp_path / "beside.py").write_text("from torch import nn\nnet = nn.Conv2d(3, 2, 3)\n")
    (tmp_path / "net.py").write_text("def make():\n    from beside import net\n    return net\n")
    assert lurk.load_model(f"{tmp_path}/net.py:make").module.out_channels == 2


def test_a_changed_file_is_run_again_and_changes_the_source(file):
    first = lurk.load_model("net.py:with_steps")
    assert lurk.load_model("net.py:with_steps").source == first.source
    assert lurk.load_model("net.py:with_steps").weight_hash == first.weight_hash
    file.write_text(file.read_text().replace("torch.relu(self.conv(x))", "torch.tanh(self.conv(x))"))
    second = lurk.load_model("net.py:with_steps")
    assert second.weight_hash == first.weight_hash
    assert second.source != first.source


def test_weights_come_from_a_file_only(file, tmp_path):
    net = nn.Conv2d(3, 4, 3)
    torch.save({f"conv.{name}": value for name, value in net.state_dict().items()}, tmp_path / "mine.pth")
    model = lurk.load_model("net.py:with_steps", weights=str(tmp_path / "mine.pth"))
    assert model.weights == "mine.pth"
    assert torch.equal(model.module.conv.weight, net.weight)
    with pytest.raises(WeightsError, match="random"):
        lurk.load_model("net.py:with_steps", weights="random")


def test_a_network_or_a_function_is_taken_as_it_is():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    model = lurk.load_model(net, classes=["a"], name="mine", input_shape=(3, 20, 20))
    assert model.module is net
    assert net.training
    assert (model.name, model.classes) == ("mine", ("a",))
    assert lurk.load_model(lambda: net, input_shape=(3, 20, 20)).module is net
    for wrong in (42, None, [net]):
        with pytest.raises(ModelError, match="a model is a name"):
            lurk.load_model(wrong)


def test_the_hash_follows_the_weights_of_a_network_in_memory():
    net = nn.Conv2d(3, 4, 3)
    model = lurk.load_model(net, input_shape=(3, 20, 20))
    before = model.weight_hash
    assert model.weight_hash == before
    with torch.no_grad():
        net.weight[0, 0, 0, 0] += 1
    assert model.weight_hash != before


def test_wrappers_are_taken_off():
    net = nn.Sequential(nn.Conv2d(3, 4, 3))
    assert lurk.load_model(nn.DataParallel(net), input_shape=(3, 20, 20)).module is net
    assert lurk.load_model(torch.compile(net), input_shape=(3, 20, 20)).module is net


def test_a_model_can_be_loaded_again_with_another_preprocessing():
    steps = transforms.Compose([transforms.Resize((30, 30)), transforms.ToTensor()])
    first = lurk.load_model("efficientnet_lite0", weights="random")
    again = lurk.load_model(first)
    assert (again.preprocess, again.classes, again.notice) == (first.preprocess, first.classes, first.notice)
    assert (again.weight_hash, again.weights) == (first.weight_hash, "untrained")
    other = lurk.load_model(first, preprocess=steps)
    assert (other.module, other.input_shape) == (first.module, (3, 30, 30))


def test_layers_are_those_of_its_own_input_size():
    model = lurk.load_model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), input_shape=(3, 20, 24))
    (layer,) = model.layers
    assert (layer.name, layer.units, layer.shape, layer.tap) == ("0", 4, (4, 18, 22), "post")
