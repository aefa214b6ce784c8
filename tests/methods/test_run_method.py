"""`visualize` and `attribute`: shapes, what they take, and one clear line for what they do not."""

import gc
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lurk
from lurk.errors import ImagesError, LayerError, LurkError


def make(channels: int = 3, size: tuple[int, int] = (16, 20)) -> lurk.Model:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)
    )
    net(torch.zeros(1, channels, *size))
    return lurk.load_model(
        net, input_shape=(channels, *size), preprocess=lambda picture: to_tensor(picture, channels, size)
    )


def to_tensor(picture: Image.Image, channels: int, size: tuple[int, int]) -> torch.Tensor:
    grey = torch.from_numpy(np.asarray(picture.convert("L").resize(size[::-1]), np.float32) / 255)
    return grey.expand(channels, *size).contiguous()


@pytest.fixture(scope="module")
def model() -> lurk.Model:
    return make()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_are_in_colour_but_for_a_network_of_one_channel(channels):
    drawn = lurk.visualize(make(channels), "2", [0, 3], steps=2)
    assert (drawn.shape, drawn.dtype) == ((2, 1 if channels == 1 else 3, 16, 20), np.float32)
    assert 0 <= drawn.min() <= drawn.max() <= 1


def test_more_units_than_a_batch_are_drawn_in_their_order(model, monkeypatch):
    monkeypatch.setattr("lurk.methods.run_method.BATCH", 2)
    seen = []
    drawn = lurk.visualize(model, "2", [5, 1, 3], steps=2, show=lambda done, total, _: seen.append((done, total)))
    assert np.abs(drawn[2] - lurk.visualize(model, "2", 3, steps=2)[0]).max() < 1e-3
    assert seen[-1] == (4, 4)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_an_image_may_be_a_tensor_an_array_a_picture_or_a_file(model, tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8))
    picture.save(tmp_path / "a.png")
    tensor = model.preprocess(picture)
    maps = [lurk.attribute(model, image, "2", 1) for image in (tensor, tensor.numpy(), picture, tmp_path / "a.png")]
    assert (maps[0].shape, maps[0].dtype) == ((3, 16, 20), np.float32)
    assert all(np.array_equal(maps[0], other) for other in maps[1:])


def test_a_position_may_be_given(model):
    image = torch.rand(3, 16, 20, generator=torch.Generator().manual_seed(1))
    found = lurk.attribute(model, image, "0", 2, method="gradient", row=4, col=7)
    assert np.array_equal(
        found, lurk.attribute(model, image, "0", 2, method="gradient", target="position", row=4, col=7)
    )
    rows, cols = np.nonzero(np.abs(found).sum(0))
    assert set(rows) <= {4, 5, 6}
    assert set(cols) <= {7, 8, 9}


@pytest.mark.parametrize("place", [{"target": "position"}, {"row": 4}, {"col": 7}, {"target": "position", "row": 4}])
def test_half_a_position_is_refused(model, place):
    with pytest.raises(LurkError, match=r"^a position is a row and a column; give both, row= and col="):
        lurk.attribute(model, torch.rand(3, 16, 20), "0", 2, **place)


def test_numbers_of_numpy_are_units_and_texts_are_not(model):
    assert len(lurk.visualize(model, "2", np.int64(3), steps=np.int64(1))) == 1
    assert len(lurk.visualize(model, "2", np.array([3, 1]), steps=1)) == 2
    assert lurk.attribute(model, torch.rand(3, 16, 20), "2", np.uint8(1)).shape == (3, 16, 20)
    for unit in ("cat", 1.5, None):
        with pytest.raises(LurkError, match=r"^a unit is a whole number, not "):
            lurk.visualize(model, "2", unit, steps=1)
        with pytest.raises(LurkError, match=r"^a unit is a whole number, not "):
            lurk.attribute(model, torch.rand(3, 16, 20), "2", unit)
    with pytest.raises(LurkError, match="none is given"):
        lurk.visualize(model, "2", [], steps=1)
    with pytest.raises(LurkError, match=r"^a layer is given by its name, not Conv2d$"):
        lurk.attribute(model, torch.rand(3, 16, 20), model.module[2], 1)


def test_a_class_is_by_default_the_most_probable_one(model):
    image = torch.rand(3, 16, 20, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        label = int(model.module(image[None]).argmax())
    found = lurk.attribute(model, image, "0", 0, method="gradient", target="class")
    assert np.array_equal(found, lurk.attribute(model, image, "0", 0, method="gradient", target="class", label=label))
    other = lurk.attribute(model, image, "0", 0, method="gradient", target="class", label=(label + 1) % 3)
    assert not np.array_equal(found, other)


def test_a_map_without_colours_is_the_same_for_every_channel(model):
    found = lurk.attribute(model, torch.rand(3, 16, 20), "2", 1, method="activation_map")
    assert found.shape == (3, 16, 20)
    assert np.array_equal(found[0], found[2])


def test_a_layer_that_is_not_shown_by_default_can_be_asked_for(model):
    assert lurk.attribute(model, torch.rand(3, 16, 20), "1", 1).shape == (3, 16, 20)


def test_everything_works_under_inference_mode(model):
    image = torch.rand(3, 16, 20)
    expected = lurk.attribute(model, image, "2", 1)
    with torch.inference_mode():
        assert np.array_equal(lurk.attribute(model, image * 1, "2", 1), expected)
        assert lurk.visualize(model, "2", 1, steps=1).shape == (1, 3, 16, 20)


def test_the_model_is_left_as_it_was(model):
    model.module.train()
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    lurk.attribute(model, torch.rand(3, 16, 20), "2", 1)
    lurk.visualize(model, "2", 1, steps=2)
    assert model.module.training
    assert all(torch.equal(before[name], value) for name, value in model.module.state_dict().items())
    assert all(weight.requires_grad and weight.grad is None for weight in model.module.parameters())
    model.module.eval()


@pytest.fixture(scope="module")
def swept(model, tmp_path_factory):
    """The model swept over eight random pictures."""
    place, generator = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(8):
        (place / str(number % 2)).mkdir(exist_ok=True)
        pixels = generator.integers(0, 256, (16, 20), dtype=np.uint8)
        Image.fromarray(pixels).save(place / str(number % 2) / f"{number}.png")
    return lurk.sweep(model, place, cache=tmp_path_factory.mktemp("cache"))


def test_a_hit_and_its_path_are_the_image_from_any_folder(model, swept, monkeypatch):
    monkeypatch.chdir("/")
    for unit in range(6):
        for hit in (*swept.unit("2", unit).hits_max, *swept.unit("2", unit).hits_mean):
            pixels = Image.open(swept.images.root / swept.images.paths[hit.image])
            expected = lurk.attribute(model, to_tensor(pixels, 3, (16, 20)), "2", unit)
            assert np.array_equal(lurk.attribute(model, hit, "2", unit), expected)
            assert np.array_equal(lurk.attribute(model, hit.path, "2", unit), expected)


def test_the_map_of_a_hit_explains_the_position_of_the_hit(model, swept):
    for unit in range(6):
        for hit in swept.unit("2", unit).hits_max:
            there = lurk.attribute(model, hit, "2", unit, method="gradient", row=hit.row, col=hit.col)
            found = lurk.attribute(model, hit, "2", unit, method="gradient")
            assert np.array_equal(found, there)
            rows, cols = np.nonzero(np.abs(found).sum(0))
            assert bool(len(rows)) == (hit.score > 0)  # behind a rectifier that gives 0 no pixel matters
            if not len(rows):
                continue
            assert hit.box[0] <= rows.min() <= rows.max() < hit.box[2]
            assert hit.box[1] <= cols.min() <= cols.max() < hit.box[3]


def test_a_hit_of_a_stored_index_needs_its_images(model, swept):
    hit = swept.stored.unit("2", 1).hits_max[0]
    with pytest.raises(ImagesError, match="give images="):
        lurk.attribute(model, hit, "2", 1)
    expected = lurk.attribute(model, swept.unit("2", 1).hits_max[0], "2", 1)
    assert np.array_equal(lurk.attribute(model, hit, "2", 1, images=swept.images), expected)
    assert np.array_equal(lurk.attribute(model, hit, "2", 1, images=swept.images.root), expected)


def test_a_hit_of_a_data_set_without_files_is_read(tmp_path):
    model = make()
    data = [(torch.rand(3, 16, 20, generator=torch.Generator().manual_seed(n)), n % 2) for n in range(5)]
    index = lurk.sweep(model, data, cache=tmp_path / "cache")
    hit = index.unit("2", 1).hits_max[0]
    expected = lurk.attribute(model, data[hit.image][0], "2", 1)
    assert np.array_equal(lurk.attribute(model, hit, "2", 1), expected)


def test_a_picture_may_start_from_a_hit(model, swept):
    hit = swept.unit("2", 1).hits_max[0]
    options = {"method": "deep_dream", "steps": 1}
    expected = lurk.visualize(model, "2", 1, image=hit.path, **options)
    assert np.array_equal(lurk.visualize(model, "2", 1, image=hit, **options), expected)


def resident_kb() -> int:
    """Memory of this process in KB."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text()).group(1))


def test_200_maps_of_hits_keep_memory_hooks_and_gradients_as_they_were(model, swept):
    hits = swept.unit("2", 1).hits_max
    hooks = [len(part._forward_hooks) + len(part._backward_hooks) for part in model.module.modules()]
    after = []
    for number in range(200):
        lurk.attribute(model, hits[number % len(hits)], "2", number % 6, device="cpu")
        if number in (50, 199):
            gc.collect()
            after.append((resident_kb(), sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())))
    assert after[1][1] <= after[0][1]
    assert after[1][0] - after[0][0] < 4000
    assert hooks == [len(part._forward_hooks) + len(part._backward_hooks) for part in model.module.modules()]
    assert all(weight.grad is None for weight in model.module.parameters())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: lurk.visualize(m, "9", 0), LayerError, "no layer '9'"),
        (lambda m: lurk.visualize(m, "2", 6), LayerError, "units are 0 to 5"),
        (lambda m: lurk.visualize(m, "2", 0, method="deconvnet"), LurkError, "use lurk.attribute"),
        (lambda m: lurk.visualize(m, "2", 0, method="drawing"), LurkError, "unknown --method"),
        (lambda m: lurk.visualize(m, "2", 0, steps=0), LurkError, "steps"),
        (lambda m: lurk.visualize(m, "2", 0, colour=1), LurkError, "has no option 'colour'"),
        (lambda m: lurk.attribute(m, torch.rand(3, 16, 20), "2", -1), LayerError, "no unit -1"),
        (lambda m: lurk.attribute(m, torch.rand(3, 16, 20), "2", 0, method="gradient_ascent"), LurkError, "visualize"),
        (lambda m: lurk.attribute(m, torch.rand(3, 8, 8), "2", 0), ImagesError, "the model takes"),
        (lambda m: lurk.attribute(m, torch.rand(3, 16, 20), "2", 0, target="here"), LurkError, "maximum, position"),
        (lambda m: lurk.attribute(m, torch.rand(3, 16, 20), "2", 0, row=99, col=0), LurkError, "rows 0 to"),
        (lambda m: lurk.attribute(m, torch.rand(3, 16, 20), "2", 0, target="class", label=3), LurkError, "0 to 2"),
        (lambda m: lurk.attribute(m, "no/such.png", "2", 0), ImagesError, "no such|no file|not"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(model, call, error, words):
    with pytest.raises(error, match=words) as raised:
        call(model)
    assert "\n" not in str(raised.value)


class Scored(nn.Module):
    """Gives features and the scores of three classes; the last one is that of the mean of red."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        colours = x.mean((2, 3))
        return {
            "features": self.conv(x).relu().mean((2, 3)),
            "logits": torch.cat([colours[:, 1:] - 1, colours[:, :1]], 1),
        }


def scored(classes=("a", "b", "c"), output=None):
    return lurk.load_model(Scored(), classes=classes, input_shape=(3, 16, 20), output=output)


CLASS_METHODS = ("gradient", "integrated_gradients", "occlusion", "gradient_x_input", "smoothgrad")


@pytest.mark.parametrize("method", CLASS_METHODS)
def test_a_class_is_explained_by_the_class_scores_beside_features(method):
    """The score of the third class depends on red alone."""
    image = torch.rand(3, 16, 20)
    options = {"fill": "0", "size": 5} if method == "occlusion" else {}
    found = lurk.attribute(scored(), image, "conv", 0, method=method, target="class", label=2, **options)
    red, others = abs(found[0]).max(), abs(found[1:]).max()
    assert red > 0
    assert method == "occlusion" or others <= 1e-6 * red


def test_a_network_without_class_scores_refuses_classes_in_one_line():
    model, image = scored(classes=None), torch.rand(3, 16, 20)
    for call in (
        lambda: lurk.attribute(model, image, "conv", 0, target="class"),
        lambda: lurk.attribute(model, image, "conv", 0, method="score_cam", target="class", label=1),
        lambda: lurk.attribute(model, image, "conv", 0, method="occlusion", target="class", label=1),
        lambda: lurk.visualize(model, "", 1, method="class_image", steps=1),
    ):
        with pytest.raises(LurkError, match=r"features \(n, 4\), logits \(n, 3\); say which with --output") as raised:
            call()
        assert "\n" not in str(raised.value)
    assert lurk.attribute(model, image, "conv", 0, method="occlusion").any()
    named = scored(classes=None, output="logits")
    assert lurk.visualize(named, "", 1, method="class_image", steps=1).shape == (1, 3, 16, 20)
    assert lurk.load_model(named).output == "logits"
    assert named.full_source.endswith(" --output logits")


def test_a_class_is_explained_only_by_a_network_that_scores_classes():
    from lurk.methods.run_method import method_specs

    features = lurk.load_model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), input_shape=(3, 8, 8))
    assert {spec.no_class for spec in method_specs(features.plan())} == {features.plan().scores.missing}
    assert {spec.no_class for spec in method_specs(make().plan())} == {""}
    with pytest.raises(LurkError, match=r"^the model gives no class scores: "):
        lurk.attribute(features, torch.zeros(3, 8, 8), "1", 0, method="gradient", target="class")


class Length(nn.Module):
    """Gives the lengths of its maps; the root of 0 has an infinite derivative."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.conv(x).square().sum((2, 3)).sqrt())


@pytest.mark.parametrize("method", ["gradient", "deconvnet", "integrated_gradients"])
def test_a_map_that_is_not_finite_is_refused_in_one_line(method):
    module, x = Length().eval(), torch.ones(1, 3, 8, 8, requires_grad=True)
    with torch.no_grad():
        module.conv.weight.zero_()
        module.conv.bias.zero_()
    assert torch.autograd.grad(module(x)[0, 0], x)[0].isnan().any()
    model = lurk.load_model(module, input_shape=(3, 8, 8))
    with pytest.raises(LurkError, match=f"{method}: the map has NaN or infinite values"):
        lurk.attribute(model, x[0], "head", 0, method=method)
