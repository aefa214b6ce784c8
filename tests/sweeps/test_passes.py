"""Passes take turns: with two of them a batch has begun before the one before it is handed over."""

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms

import lurk
from lurk.sweeps import passes
from lurk.sweeps.image_reader import ReadBatch
from lurk.sweeps.passes import run_in_turn
from tests.index_equality import assert_identical


class Root(nn.Module):
    def forward(self, x):
        return x.sqrt()


class Turn:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def run(self, numbers, images):
        self.log.append(f"run {numbers[0]} by {self.name}")


def handed_over(passes, batches):
    log = []
    for batch, turn in run_in_turn(batches, [Turn(name, log) for name in passes]):
        log.append(f"take {batch.end} of {turn.name}")
    return log


def batch(number, *, is_empty=False):
    return ReadBatch(number, () if is_empty else (number,), torch.zeros(0 if is_empty else 1, 3, 2, 2), ())


def test_one_pass_runs_a_batch_when_the_one_before_has_been_taken():
    assert handed_over("a", [batch(1), batch(2)]) == ["run 1 by a", "take 1 of a", "run 2 by a", "take 2 of a"]


def test_of_two_passes_one_runs_while_the_other_is_read():
    expected = ["run 1 by a", "run 2 by b", "take 1 of a", "run 3 by a", "take 2 of b", "take 3 of a"]
    assert handed_over("ab", [batch(1), batch(2), batch(3)]) == expected


@pytest.mark.parametrize("passes", ["a", "ab"])
def test_batches_without_usable_images_are_handed_over_too(passes):
    log = handed_over(passes, [batch(1), batch(2, is_empty=True), batch(3)])
    assert [line for line in log if line.startswith("take")] == [
        f"take {end} of {passes[at % len(passes)]}" for at, end in enumerate((1, 2, 3))
    ]
    assert not [line for line in log if line.startswith("run 2")]


def test_a_sweep_whose_passes_take_turns_is_the_same_to_the_last_bit_though_images_are_skipped(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    for number in range(7):
        Image.new("RGB", (8, 8), (30 * number, 255 - 30 * number, 60)).save(tmp_path / "images" / f"{number}.png")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 1), Root(), nn.Conv2d(4, 2, 3), nn.ReLU())
    net[0].weight.data[:], net[0].bias.data[:] = torch.tensor([-1.0, 0, 0]).view(3, 1, 1), 0.55  # red above 0.55: NaN
    model = lurk.load_model(net, preprocess=transforms.ToTensor(), input_shape=(3, 8, 8))
    indexes = []
    for turns in (1, 2, 3):
        monkeypatch.setitem(passes.TURNS, "cpu", turns)
        indexes.append(
            lurk.sweep(model, lurk.load_images(tmp_path / "images"), cache=tmp_path / f"cache{turns}", batch_size=3)
        )
    assert [number for number, *_ in indexes[0].manifest.skipped] == [5, 6]
    for other in indexes[1:]:
        assert other.manifest.skipped == indexes[0].manifest.skipped
        assert_identical(indexes[0], other)
