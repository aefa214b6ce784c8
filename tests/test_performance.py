"""The benchmark of performance: its tables follow from what was measured, and docs/performance.md is what it writes."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.performance import __main__ as program
from benchmarks.performance import environments, page
from benchmarks.performance.comparison import Case, Turn, ratios, seconds
from benchmarks.performance.environments import groups
from benchmarks.performance.page import COMPARISONS, PAGE, Measured, read_results, table
from benchmarks.performance.sides import measure, started
from tests.toy_comparison import COMPARISON

ROOT = Path(__file__).resolve().parents[1]


ROUNDS = [
    {"once": Turn(1.0, 1.0, 10, {}), "twice": Turn(3.0, 8.0, 10, {})},
    {"once": Turn(2.0, 2.0, 10, {}), "twice": Turn(4.0, 4.0, 10, {})},
    {"once": Turn(1.0, 1.0, 10, {}), "twice": Turn(5.0, 2.0, 5, {})},
]


def test_the_page_is_what_the_program_writes_from_its_stored_results():
    assert PAGE.read_text() == page.page(read_results())


def test_every_table_is_on_the_page_with_its_measurement_or_without_one():
    for name, comparison in COMPARISONS.items():
        section = PAGE.read_text().partition(f"## {comparison.title}\n")[2].partition("\n## ")[0]
        assert page.wrapped(comparison.text) in section
        assert ("| " in section) == (name in read_results())


def test_times_and_ratios_are_medians_over_the_rounds_for_an_item():
    assert seconds(ROUNDS, "once") == 0.1
    assert ratios(ROUNDS, "twice", "once") == pytest.approx([3, 2, 10])
    *_, row = table(COMPARISON, {"row": ROUNDS})
    assert row == "| row | 100 | 400 | 3.00 (4.00) | ≥ 2 |"


def test_results_are_stored_and_written_to_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(page, "COMPARISONS", {"toy": COMPARISON})
    page.write_results({"toy": Measured({"row": ROUNDS}, "Two cores.")})
    assert read_results() == {"toy": Measured({"row": ROUNDS}, "Two cores.")}
    text = (tmp_path / "page.md").read_text()
    assert "## Toy\n\nText.\n\n| | once, ms | twice, ms | twice / once | aim |\n" in text
    assert "\n\nMilliseconds for each image. Two cores.\n" in text


def test_what_one_read_costs_follows_from_the_size_of_the_maps_and_the_speed_of_memory():
    bare = dict.fromkeys(("bare forward pass", "bare, channels-last"), Turn(1.0, 1.0, 10, {}))
    swept = [{**bare, "sweep": Turn(1.2, 1.2, 10, {"values": 2.5e6, "layers": 3})}]
    read = [{"one thread": Turn(1.0, 1.0, 1, {}), "all threads": Turn(1.0, 1.0, 2, {})}]
    results = {"sweep": Measured({"net": swept}, ""), "memory": Measured({"read": read}, "")}
    assert "| net | 2.5 | 10.0 | 5.00 | 20.00 | 4.0 |" in page.page(results)


def test_stored_results_name_no_machine_and_no_folder():
    assert not re.search(
        r"(?<![\w.])/(?:home|tmp|root|work|data)\b", json.dumps(list(map(repr, read_results().values())))
    )


def test_sides_take_turns_in_processes_of_their_own(tmp_path):
    (tmp_path / "image.jpg").touch()
    with started("tests.toy_comparison", COMPARISON, tmp_path) as sides:
        rounds, threads = measure(sides, COMPARISON.cases[0])
    assert threads >= 1
    assert [[each[side].items for side in ("once", "twice")] for each in rounds] == [[3, 6], [3, 6]]
    assert all(turn.more == {"files": 1} and turn.wall_s > 0 for each in rounds for turn in each.values())


def test_what_fails_in_a_side_is_said_with_its_name(tmp_path):
    with (
        started("tests.toy_comparison", COMPARISON, tmp_path) as sides,
        pytest.raises(SystemExit, match=r"(once|twice): .*no such thing"),
    ):
        measure(sides, Case("row", {"fails": True}))


def test_every_peer_has_pins():
    named = {peer for comparison in COMPARISONS.values() for peer in comparison.peers.values()}
    assert named == set(groups())
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", pin) for pins in groups().values() for pin in pins)


def test_pins_are_installed_once_and_again_when_they_change(tmp_path, monkeypatch):
    pins, ran = {}, []

    def run(command, check):
        assert check
        ran.append(command[-1])
        (tmp_path / "peer").mkdir(exist_ok=True)

    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setattr(environments, "groups", lambda: {"peer": [pins["now"]]})
    monkeypatch.setattr(environments.subprocess, "run", run)
    for pins["now"] in ("one==1", "one==1", "one==2"):
        assert environments.environment("peer") == tmp_path / "peer"
    assert ran == ["one==1", "one==2"]


def test_the_box_of_a_position_goes_back_through_poolings_and_convolutions():
    from torch import nn

    from benchmarks.performance.torchlurk import _box

    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 1)]
    assert _box(1, 0, layers) == ((1, 8), (0, 6))


def _can_run(name: str) -> bool:
    peers = COMPARISONS[name].peers.values()
    return all((environments.FOLDER / peer / "pins.txt").is_file() for peer in peers)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPARISONS)
def test_a_table_is_measured_in_its_quick_form(name, put_demo_set, tmp_path, monkeypatch, capsys):
    if not _can_run(name):
        pytest.skip("its peers are not installed; `make bench` installs them")
    put_demo_set(tmp_path / "cache")
    before = PAGE.read_text()
    monkeypatch.setattr(
        "sys.argv", ["performance", "--quick", "--only", name, "--data", str(tmp_path / "cache" / "demo")]
    )
    program.main()
    title, _, _, row, _ = capsys.readouterr().out.splitlines()
    assert title == COMPARISONS[name].title
    assert row.startswith(f"| {COMPARISONS[name].quick.name} |")
    assert PAGE.read_text() == before
