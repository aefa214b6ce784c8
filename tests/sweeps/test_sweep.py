import itertools
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lurk
from lurk.errors import Cancelled, ImagesError
from lurk.storage.index import Index
from lurk.sweeps.measurement import Measurement
from lurk.sweeps.statistics import Statistics
from tests.index_equality import arrays, assert_identical


class Net(nn.Module):
    """Three layers, one with an in-place activation, one with a bounded one, one without."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(6, 5, 3, stride=2)
        self.act = nn.ReLU6()
        self.fc = nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.conv2(self.relu(self.conv1(x))))
        return self.fc(x.mean((2, 3)))


def to_tensor(image: Image.Image) -> torch.Tensor:
    samples = np.asarray(image.convert("RGB").resize((16, 16)), np.float32) / 255
    return torch.from_numpy(samples).permute(2, 0, 1) - 0.5


@pytest.fixture
def model() -> lurk.Model:
    torch.manual_seed(0)
    return lurk.load_model(Net(), preprocess=to_tensor, name="net")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """60 random pictures in three classes."""
    generator = np.random.default_rng(0)
    for number in range(60):
        place = tmp_path / "images" / f"class{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:02}.png")
    return tmp_path / "images"


class StopAt:
    """Raises Cancelled once the given number of images is done."""

    def __init__(self, image: int) -> None:
        self.image = image

    def __call__(self, done: int, total: int, rate: float) -> None:
        if done >= self.image:
            raise Cancelled


def test_a_sweep_finds_every_image_and_every_layer(model, folder, tmp_path):
    index = lurk.sweep(model, lurk.load_images(folder), cache=tmp_path / "cache", top=5)
    assert [layer.name for layer in index.layers] == ["conv1", "conv2", "fc"]
    assert index.manifest.complete
    for layer in index.layers:
        for unit in range(layer.units):
            record = index.unit(layer.name, unit)
            assert len(record.hits_max) == len(record.hits_mean) == 5
            assert record.class_count.tolist() == [20, 20, 20]
            assert record.count == 60 * layer.grid[0] * layer.grid[1]


def test_figures_equal_a_plain_loop_in_float64(model, folder, tmp_path):
    images = lurk.load_images(folder)
    index = lurk.sweep(model, images, cache=tmp_path / "cache")
    net, values = model.module, []
    with torch.no_grad():
        for number in range(len(images)):
            x = model.preprocess(images.read(number))[None]
            values.append(torch.relu(net.conv1(x))[0].double())
    stack = torch.stack(values)
    for unit in range(6):
        record = index.unit("conv1", unit)
        mine = stack[:, unit]
        assert record.mean == pytest.approx(mine.mean().item(), rel=1e-6)
        assert record.std == pytest.approx(mine.std(correction=0).item(), rel=1e-5)
        assert record.fraction_positive == pytest.approx((mine > 0).double().mean().item(), abs=1e-4)
        assert record.quantiles[0.99] == pytest.approx(mine.quantile(0.99).item(), rel=0.05, abs=1e-6)
        best = max(range(60), key=lambda i: (mine[i].max().item(), -i))
        assert record.hits_max[0].image == best
        assert divmod(int(mine[best].argmax()), 16) == (record.hits_max[0].row, record.hits_max[0].col)


def test_stopped_anywhere_and_resumed_it_ends_with_the_same_index(model, folder, tmp_path):
    images = lurk.load_images(folder)
    whole = lurk.sweep(model, images, cache=tmp_path / "whole", batch_size=7)
    for number, stops in enumerate([(7,), (14, 35), (7, 14, 21, 28, 56)]):
        cache = tmp_path / f"stopped{number}"
        for stop in stops:
            with pytest.raises(Cancelled):
                lurk.sweep(model, images, cache=cache, batch_size=7, progress=StopAt(stop))
        assert_identical(whole, lurk.sweep(model, images, cache=cache, batch_size=7))


def test_any_number_of_reading_threads_gives_the_same_index(model, folder, tmp_path):
    images = lurk.load_images(folder)
    one = lurk.sweep(model, images, cache=tmp_path / "one", workers=1, batch_size=8)
    four = lurk.sweep(model, images, cache=tmp_path / "four", workers=4, batch_size=8)
    assert_identical(one, four)


def test_another_batch_size_changes_scores_by_rounding_only(model, folder, tmp_path):
    images = lurk.load_images(folder)
    one = lurk.sweep(model, images, cache=tmp_path / "one", batch_size=1)
    other = lurk.sweep(model, images, cache=tmp_path / "other", batch_size=13)
    for name in ("top_max_score", "top_mean_score"):
        np.testing.assert_allclose(arrays(one)[name], arrays(other)[name], rtol=1e-5, atol=1e-6)


def test_shards_merged_in_any_order_give_the_same_statistics(model, folder):
    images = lurk.load_images(folder)
    plan = model.plan()
    labels = torch.tensor(list(images.labels))
    tensors = torch.stack([model.preprocess(images.read(i)) for i in range(60)])

    def swept(batches):
        measurement = Measurement(plan.layers, 60)
        statistics = Statistics(measurement.units, 9, 3)
        with torch.inference_mode(), measurement.tapped(plan) as forward:
            for numbers in batches:
                measurement.begin(numbers)
                forward(tensors[numbers])
                statistics.add(measurement.batch(labels[numbers]))
        return statistics

    batches = torch.arange(60).split(6)
    whole = swept(batches).state()
    for order in itertools.islice(itertools.permutations(range(3)), 6):
        shards = [swept(batches[i::3]) for i in range(3)]
        merged = shards[order[0]]
        for place in order[1:]:
            merged.merge(shards[place].state())
        for name, array in merged.state().items():
            if name.endswith("_moments"):
                np.testing.assert_allclose(array, whole[name], rtol=1e-9)
            else:
                assert np.array_equal(array, whole[name], equal_nan=array.dtype.kind == "f"), name


def test_a_finished_sweep_returns_at_once(model, folder, tmp_path):
    images = lurk.load_images(folder)
    lurk.sweep(model, images, cache=tmp_path / "cache")

    def fail(done, total, rate):
        raise AssertionError("swept again")

    assert lurk.sweep(model, images, cache=tmp_path / "cache", progress=fail).manifest.complete


def test_changed_weights_or_images_are_swept_again(model, folder, tmp_path):
    first = lurk.sweep(model, lurk.load_images(folder), cache=tmp_path / "cache")
    Image.new("RGB", (20, 20)).save(folder / "class0" / "new.png")
    second = lurk.sweep(model, lurk.load_images(folder), cache=tmp_path / "cache")
    with torch.no_grad():
        model.module.fc.bias += 1
    changed = lurk.load_model(model.module, preprocess=to_tensor, name="net")
    third = lurk.sweep(changed, lurk.load_images(folder), cache=tmp_path / "cache")
    assert len({first.key, second.key, third.key}) == 3


def test_one_good_image_among_ninety_nine_bad_ones(model, tmp_path):
    place = tmp_path / "images" / "class"
    place.mkdir(parents=True)
    chaos = random.Random(0)
    for number in range(99):
        (place / f"{number:02}.jpg").write_bytes(chaos.randbytes(number))
    Image.new("RGB", (30, 30), (200, 30, 30)).save(place / "good.png")
    index = lurk.sweep(model, lurk.load_images(tmp_path / "images"), cache=tmp_path / "cache")
    assert len(index.manifest.skipped) == 99
    assert all(reason for _, _, reason in index.manifest.skipped)
    record = index.unit("conv1", 0)
    assert [hit.path for hit in record.hits_max] == [str(place / "good.png")]
    assert index.view_file(99).is_file()


def test_not_one_good_image_is_an_error_that_names_the_first(model, tmp_path):
    place = tmp_path / "images" / "class"
    place.mkdir(parents=True)
    (place / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(ImagesError, match="not one of the 1 images"):
        lurk.sweep(model, lurk.load_images(tmp_path / "images"), cache=tmp_path / "cache")


def test_images_to_which_the_network_answers_nan_are_skipped_with_the_layer(folder, tmp_path):
    class Fragile(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)
            self.fc = nn.Linear(2, 2)

        def forward(self, x):
            x = self.conv(x)
            return self.fc(torch.sqrt(x).mean((2, 3)))

    torch.manual_seed(0)
    net = Fragile()
    with torch.no_grad():
        net.conv.bias[:] = torch.tensor([0.02, 10.0])
        net.conv.weight[0] = 0
        net.conv.weight[0, 0] = 1.0
    model = lurk.load_model(
        net, preprocess=lambda image: to_tensor(image).mean((1, 2), keepdim=True).expand(3, 4, 4).clone()
    )
    images = lurk.load_images(folder)
    index = lurk.sweep(model, images, cache=tmp_path / "cache")
    skipped = {image for image, _, _ in index.manifest.skipped}
    expected = {i for i in range(60) if model.preprocess(images.read(i))[0, 0, 0] + 0.02 < 0}
    assert skipped == expected
    assert 0 < len(skipped) < 60
    assert "NaN or infinity at layer fc" in index.manifest.skipped[0][2]
    assert np.isfinite(index.unit("fc", 0).class_max).all()


def test_the_model_is_left_as_it_was(model, folder, tmp_path):
    model.module.train()
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.module.modules())
    lurk.sweep(model, lurk.load_images(folder), cache=tmp_path / "cache")
    assert model.module.training
    assert hooks == sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.module.modules())
    for name, value in model.module.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.requires_grad for parameter in model.module.parameters())


def test_the_page_can_be_whole_when_the_image_folder_is_gone(model, folder, tmp_path):
    import shutil

    index = lurk.sweep(model, lurk.load_images(folder), cache=tmp_path / "cache")
    shutil.rmtree(folder)
    index = Index(index.folder)
    for layer in index.layers:
        for unit in range(layer.units):
            record = index.unit(layer.name, unit)
            for hit in (*record.hits_max, *record.hits_mean):
                assert index.view_file(hit.image).is_file()


def test_partial_results_can_be_read_while_it_runs(model, folder, tmp_path):
    seen = []

    def stop(done, total, rate):
        raise Cancelled

    with pytest.raises(Cancelled):
        lurk.sweep(
            model, lurk.load_images(folder), cache=tmp_path / "cache", batch_size=8, progress=stop, began=seen.append
        )
    index = Index(seen[0])
    assert not index.manifest.complete
    assert index.manifest.done == 8
    assert len(index.unit("conv1", 0).hits_max) == 8


def test_a_deviation_far_smaller_than_the_mean_is_right(folder, tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 2, 1))
    with torch.no_grad():
        net[0].weight *= 0.01
        net[0].bias[:] = 100
    model = lurk.load_model(net, preprocess=to_tensor)
    images = lurk.load_images(folder)
    index = lurk.sweep(model, images, cache=tmp_path / "cache")
    with torch.no_grad():
        values = torch.cat([net(model.preprocess(images.read(i))[None])[0, 0].double().flatten() for i in range(60)])
    assert index.unit("0", 0).std == pytest.approx(values.std(correction=0).item(), rel=1e-3)


class TwoViews(nn.Module):
    """Sees each image and its mirror image, stacked along the batch axis."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, two = torch.relu(self.conv(torch.cat([x, x.flip(3)]))).chunk(2)
        return self.fc((one + two).mean((2, 3)))


def test_a_layer_that_mixes_the_images_of_a_batch_is_left_out_and_named(folder, tmp_path):
    index = lurk.sweep(
        lurk.load_model(TwoViews(), preprocess=to_tensor), lurk.load_images(folder), cache=tmp_path / "cache"
    )
    assert [layer.name for layer in index.layers] == ["fc"]
    assert "conv" in index.manifest.notice


@pytest.mark.parametrize("numbers", [{"batch_size": -1}, {"top": 0}, {"workers": -2}])
def test_numbers_below_one_are_refused(model, folder, tmp_path, numbers):
    with pytest.raises(lurk.LurkError, match="1 or more"):
        lurk.sweep(model, lurk.load_images(folder), cache=tmp_path / "cache", **numbers)


def test_a_network_in_half_precision_is_swept(folder, tmp_path):
    torch.manual_seed(0)
    model = lurk.load_model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).half(), preprocess=to_tensor)
    index = lurk.sweep(model, lurk.load_images(folder), cache=tmp_path / "cache")
    assert len(index.unit("0", 0).hits_max) == 9


def test_whatever_a_users_preprocessing_raises_skips_that_image(folder, tmp_path):
    def fragile(image):
        tensor = to_tensor(image)
        if image.size == (20, 20) and tensor[0, 0, 0] > 0.2:
            raise KeyError("odd")
        return tensor

    model = lurk.load_model(Net(), preprocess=fragile, input_shape=(3, 16, 16))
    index = lurk.sweep(model, lurk.load_images(folder), cache=tmp_path / "cache")
    assert 0 < len(index.manifest.skipped) < 60
    assert "KeyError" in index.manifest.skipped[0][2]


def test_a_long_top_list_is_no_longer_than_the_image_set(model, folder, tmp_path):
    index = lurk.sweep(model, lurk.load_images(folder), cache=tmp_path / "cache", top=10_000)
    assert len(index.unit("fc", 0).hits_max) == 60
    assert arrays(index)["top_max_score"].shape[1] == 60


def test_a_network_with_other_code_or_attributes_is_another(folder, tmp_path):
    class Scaled(nn.Module):
        def __init__(self, k: float) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.k = nn.Conv2d(3, 2, 3), k

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x) * self.k

    images = lurk.load_images(folder)
    one, other = (
        lurk.sweep(lurk.load_model(Scaled(k), preprocess=to_tensor), images, cache=tmp_path / "cache")
        for k in (1.0, 3.0)
    )
    assert one.key != other.key


def test_a_folder_and_a_dataset_can_be_given_as_they_are(model, folder, tmp_path):
    assert lurk.sweep(model, str(folder), cache=tmp_path / "cache").manifest.images == 60
    data = [(torch.rand(3, 16, 16), i % 2) for i in range(10)]
    assert lurk.sweep(model, data, cache=tmp_path / "cache").manifest.images == 10


class Bounded(nn.Module):
    """Layers at a bound for most images: of ReLU6 in place, of a rectifier and of tanh; two units are constant."""

    def __init__(self) -> None:
        super().__init__()
        self.six, self.act = nn.Conv2d(3, 4, 3, stride=2), nn.ReLU6(inplace=True)
        self.off, self.tanh, self.swish = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(4, 4)
        with torch.no_grad():
            self.six.weight *= torch.tensor([8.0, 32.0, 8.0, 8.0]).view(4, 1, 1, 1)
            self.six.bias[:3] = torch.tensor([20.0, 8.0, -30.0])
            self.off.bias[:] = -40.0
            self.tanh.weight *= 20
            for layer in (self.six, self.fc):
                layer.weight[3], layer.bias[3] = 0, 1.5

    def values(self, x):
        """What enters the activation function of each layer, and what it gives."""
        six = self.six(x)
        y = six.clamp(0, 6)
        off, tanh, swish = self.off(y), self.tanh(y), self.swish(y)
        fc = self.fc(torch.tanh(tanh).mean((2, 3)))
        return {
            "six": (six, six.clamp(0, 6)),
            "off": (off, off.clamp(min=0)),
            "tanh": (tanh, tanh.tanh()),
            "swish": (None, swish * swish.sigmoid()),
            "fc": (None, fc[:, :, None, None]),
        }

    def forward(self, x):
        y = self.act(self.six(x))
        off = torch.relu_(self.off(y))
        swish = nn.functional.silu(self.swish(y))
        return self.fc(torch.tanh(self.tanh(y)).mean((2, 3))) + 0 * (off.sum() + swish.sum())


@pytest.fixture
def bounded() -> lurk.Model:
    torch.manual_seed(0)
    return lurk.load_model(Bounded(), preprocess=to_tensor, name="bounded")


def reference(bounded, images, layer, unit, summary):
    """Every image's (score, value before, image, position), best first, from a plain loop and a full sort."""
    found = []
    for number in range(len(images)):
        with torch.no_grad():
            before, score = bounded.module.values(bounded.preprocess(images.read(number))[None])[layer]
        mine = score[0, unit]
        entering = mine if before is None else before[0, unit]
        value = None if before is None else summary(entering).item()
        found.append((summary(mine).float().item(), value, number, int(entering.argmax())))
    return sorted(found, key=lambda hit: (-hit[0], -(hit[1] or 0), hit[2]))


@pytest.mark.parametrize("layer", ["six", "off", "tanh", "swish", "fc"])
def test_lists_are_in_the_order_of_what_enters_a_monotone_activation(layer, bounded, folder, tmp_path):
    images = lurk.load_images(folder)
    index = lurk.sweep(bounded, images, cache=tmp_path / "cache", batch_size=1, top=12)
    for unit in range(4):
        record = index.unit(layer, unit)
        if unit == 3 and layer in ("six", "fc"):
            assert (record.state, record.hits_max, record.hits_mean) == ("constant", (), ())
            continue
        for hits, summary in ((record.hits_max, torch.max), (record.hits_mean, lambda x: x.double().mean())):
            expected = reference(bounded, images, layer, unit, summary)
            if layer != "fc":  # of which some values differ by rounding only
                assert [hit.image for hit in hits] == [image for _, _, image, _ in expected[:12]]
            positions = {image: position for _, _, image, position in expected}
            for hit, (score, before, *_) in zip(hits, expected, strict=False):
                assert hit.score == pytest.approx(score, rel=1e-6)
                assert hit.before == (None if before is None else pytest.approx(before, rel=1e-5))
                assert divmod(positions[hit.image], index.layer(layer).grid[1]) == (hit.row, hit.col)


def test_units_at_a_bound_or_never_active_are_told_apart_by_what_was_before(bounded, folder, tmp_path):
    index = lurk.sweep(bounded, lurk.load_images(folder), cache=tmp_path / "cache")
    assert index.states("six") == ["always_on", "saturated", "dead", "constant"]
    assert set(index.states("off")) == {"dead"}
    assert "dead" not in index.states("tanh") + index.states("swish") + index.states("fc")
    for layer, unit, score in (("six", 0, 6), ("six", 1, 6), ("six", 2, 0)):
        hits = index.unit(layer, unit).hits_max
        assert [hit.score for hit in hits] == [score] * 9
        assert len({hit.before for hit in hits}) == 9
        assert [hit.before for hit in hits] == sorted((hit.before for hit in hits), reverse=True)
    assert [index.layer(name).class_scores for name in ("six", "fc")] == [
        False,
        False,
    ]  # a sum with other layers follows


def test_ties_are_broken_alike_however_the_images_are_cut(bounded, folder, tmp_path):
    images = lurk.load_images(folder)
    whole = lurk.sweep(bounded, images, cache=tmp_path / "whole", batch_size=5)
    for stop in (5, 35):
        with pytest.raises(Cancelled):
            lurk.sweep(bounded, images, cache=tmp_path / "stopped", batch_size=5, progress=StopAt(stop))
    assert_identical(whole, lurk.sweep(bounded, images, cache=tmp_path / "stopped", batch_size=5))


class TwoOutputs(nn.Module):
    """Gives class scores beside an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head, self.embedding = nn.Conv2d(3, 4, 3), nn.Linear(4, 2), nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.conv(x).relu().mean((2, 3))
        return {"embedding": self.embedding(x), "logits": self.head(x)}


def test_the_notes_name_the_output_taken_as_class_scores(folder, tmp_path):
    model = lurk.load_model(TwoOutputs(), preprocess=to_tensor, classes=["a", "b"])
    notes = lurk.sweep(model, folder, cache=tmp_path / "cache").manifest.notes
    assert "class scores: logits (n, 2), of embedding (n, 5), logits (n, 2)" in notes
