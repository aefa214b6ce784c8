import json

import numpy as np
import pytest
from PIL import Image

from lurk.cli import main
from lurk.commands.visualize import numbers
from lurk.errors import LurkError


def drawn(tmp_path):
    return json.loads((tmp_path / "out" / "provenance.json").read_text())


def test_pictures_come_with_their_provenance(arguments, tmp_path, capsys):
    given = ["--layer", "0", "--units", "0,2-3", "--option", "steps=3", "--out", str(tmp_path / "out")]
    assert main(["visualize", *arguments, *given]) == 0
    assert "3 pictures" in capsys.readouterr().out
    records = drawn(tmp_path)
    assert [record["unit"] for record in records] == [0, 2, 3]
    for record in records:
        with Image.open(tmp_path / "out" / record["file"]) as picture:
            assert (picture.format, picture.size) == ("PNG", (8, 8))
        assert record["method"] == "gradient_ascent"
        assert record["parameters"]["steps"] == 3
        assert record["name"] == f"unit {record['unit']}"
        assert len(record["weight_hash"]) == 64
        assert record["reached_max"] >= record["reached_mean"]
        assert record["percentile"] is None
        assert record["notes"] == []


TWO_OUTPUTS = """
import torch
from torch import nn
from torchvision import transforms

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head, self.embedding = nn.Conv2d(3, 4, 3), nn.Linear(4, 2), nn.Linear(4, 5)
    def forward(self, x):
        x = self.conv(x).relu().mean((2, 3))
        return {"embedding": self.embedding(x), "logits": self.head(x)}

def make():
    to_tensor = transforms.Compose([transforms.Resize((8, 8)), transforms.ToTensor()])
    return Net(), to_tensor, ["a", "b"]
"""


def test_the_output_taken_as_class_scores_is_named_at_the_start(tmp_path, capsys):
    (tmp_path / "two.py").write_text(TWO_OUTPUTS)
    given = ["--model", f"{tmp_path / 'two.py'}:make", "--layer", "conv", "--units", "0", "--option", "steps=1"]
    assert main(["visualize", *given, "--device", "cpu", "--out", str(tmp_path / "out")]) == 0
    said = "class scores: logits (n, 2), of embedding (n, 5), logits (n, 2)"
    assert f"lurk: {said}\n" in capsys.readouterr().err
    assert drawn(tmp_path)[0]["notes"] == [said]


def test_after_a_sweep_the_record_says_how_the_picture_lies_among_real_images(arguments, tmp_path):
    main(["sweep", *arguments])
    given = ["--layer", "0", "--units", "1", "--option", "steps=3", "--out", str(tmp_path / "out")]
    assert main(["visualize", *arguments, *given]) == 0
    assert 0 <= drawn(tmp_path)[0]["percentile"] <= 1


def test_maps_are_drawn_and_kept_as_numbers(arguments, tmp_path):
    image = str(tmp_path / "images" / "class0" / "0.png")
    given = ["--layer", "0", "--units", "1", "--method", "deconvnet", "--image", image, "--out", str(tmp_path / "out")]
    assert main(["visualize", *arguments, *given]) == 0
    files = [record["file"] for record in drawn(tmp_path)]
    assert [name[-4:] for name in files] == [".png", ".npy"]
    assert np.load(tmp_path / "out" / files[1]).shape == (3, 8, 8)


def test_images_of_the_same_name_have_maps_of_their_own(arguments, tmp_path):
    images = [tmp_path / "images" / f"class{number}" / "0.png" for number in range(2)]
    for number, image in enumerate(images):
        Image.new("RGB", (8, 8), (90 * number + 60, 20, 200)).save(image)
    given = [word for image in images for word in ("--image", str(image))]
    method = ["--layer", "0", "--method", "gradient_x_input", "--out", str(tmp_path / "out")]
    assert main(["visualize", *arguments, *method, *given]) == 0
    records = [record for record in drawn(tmp_path) if record["file"].endswith(".npy")]
    assert [(record["file"], record["image"]) for record in records] == [
        ("0-0-gradient_x_input-0.npy", str(images[0])),
        ("0-0-gradient_x_input-0-2.npy", str(images[1])),
    ]
    first, second = (np.load(tmp_path / "out" / record["file"]) for record in records)
    assert not np.array_equal(first, second)


def test_the_list_names_every_method_with_its_options(capsys):
    from lurk.methods import METHODS

    assert main(["visualize", "--list"]) == 0
    out = capsys.readouterr().out
    for name in METHODS:
        assert f"\n{name}: " in "\n" + out
        for option in METHODS[name].spec.options:
            assert f"    {option.name}={option.default}" in out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--layer", "9"], "no layer '9'"),
        (["--units", "0"], "gradient_ascent needs a layer; name one with --layer"),
        (["--layer", "0", "--units", "5-2"], "empty"),
        (["--layer", "0", "--units", "x"], "0-15,20"),
        (["--layer", "0", "--units", "7"], "0 to 3"),
        (["--layer", "0", "--option", "steps"], "NAME=VALUE"),
        (["--layer", "0", "--option", "steps=many"], "whole number"),
        (["--layer", "0", "--method", "painting"], "known are"),
        (["--layer", "0", "--method", "deconvnet"], "--image"),
        (["--layer", "0", "--method", "deconvnet", "--image", "none.png"], "none.png"),
        (["--layer", "0", "--out", "/proc/nothing/here"], "cannot be made"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, capsys, tmp_path, given, words):
    more = [] if "--out" in given else ["--out", str(tmp_path / "out")]
    assert main(["visualize", *arguments, *given, *more]) == 2
    err = capsys.readouterr().err.strip()
    assert words in err
    assert "\n" not in err


def test_what_was_understood_of_the_images_is_in_the_record_once_they_were_swept(arguments, tmp_path):
    rows = "".join(f"class{n}/{k}.png,c{n}\n" for n in range(2) for k in range(2))
    (tmp_path / "images" / "list.csv").write_text(f"file,breed\n{rows}")
    at = arguments.index("--data") + 1
    listed = [*arguments[:at], str(tmp_path / "images" / "list.csv"), *arguments[at + 1 :]]
    main(["sweep", *listed])
    given = ["--layer", "0", "--units", "1", "--option", "steps=1", "--out", str(tmp_path / "out")]
    assert main(["visualize", *listed, *given]) == 0
    assert any("column 2 'breed'" in note for note in drawn(tmp_path)[0]["notes"])


@pytest.fixture
def quick(monkeypatch):
    """Pictures are drawn in two steps."""
    from dataclasses import replace

    from lurk.methods import METHODS

    method = METHODS["gradient_ascent"]
    options = tuple(replace(o, default=2) if o.name == "steps" else o for o in method.spec.options)
    monkeypatch.setitem(
        METHODS._entries, "gradient_ascent", replace(method, spec=replace(method.spec, options=options))
    )


@pytest.mark.usefixtures("quick")
def test_sweep_with_pictures_leaves_a_picture_for_every_active_unit(arguments, tmp_path, capsys):
    from lurk.storage.index import Index

    assert main(["sweep", *arguments, "--with-pictures"]) == 0
    out = capsys.readouterr().out
    assert "6 pictures" in out
    assert "without a picture" not in out
    folder = Index(next((tmp_path / "cache" / "index").iterdir())).folder
    assert len(list(folder.glob("results/*/*/picture-0.webp"))) == 6


NEVER = """
import torch
from torch import nn
from torchvision import transforms

def make():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        net[0].weight.abs_()
        net[0].bias.copy_(torch.tensor([1.0, -1e3, 1.0, -1e3]))
        net[4].weight[1], net[4].bias[1] = 0, 7
    return net, transforms.Compose([transforms.Resize((8, 8)), transforms.ToTensor()])
"""


@pytest.mark.usefixtures("quick")
def test_sweep_with_pictures_leaves_out_units_that_are_never_active_or_constant(arguments, tmp_path, capsys):
    from lurk.storage.index import Index

    (tmp_path / "never.py").write_text(NEVER)
    at = arguments.index("--model") + 1
    given = [*arguments[:at], f"{tmp_path / 'never.py'}:make", *arguments[at + 1 :]]
    assert main(["sweep", *given, "--with-pictures"]) == 0
    out = capsys.readouterr().out
    assert "3 pictures: " in out
    assert "3 units without a picture, since they are never active or constant; visualize --units draws them" in out
    index = Index(next((tmp_path / "cache" / "index").iterdir()))
    assert (index.states("0"), index.states("4")) == (["always_on", "dead"] * 2, ["ok", "constant"])
    assert len(list(index.folder.glob("results/*/*/picture-0.webp"))) == 3


def test_numbers_are_read_with_ranges():
    assert numbers("0-2, 7") == [0, 1, 2, 7]
    with pytest.raises(LurkError):
        numbers("1-99999999")
