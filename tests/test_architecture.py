"""docs/architecture.md tells the truth: packages and files exist, those of a journey are linked, counts are right."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
JOURNEYS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
MOST = {"An image becomes a tile": 17, "A click becomes a picture": 30}
ENTERS = r"\.register\(|^@(map_method|picture_method|command)\("
Row = tuple[str, list[str]]


def stretches(journey: str) -> list[list[Row]]:
    """The rows of a journey, cut at the borders: a file, and the files that the text beside it names."""
    found: list[list[Row]] = [[]]
    for first, second in re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", JOURNEYS[journey], re.MULTILINE):
        if first.startswith("*"):
            found.append([])
        elif first.startswith("`"):
            found[-1].append((first.strip("`"), re.findall(r"`(lurk/\S+\.py)`", second)))
    return found


def names(path: str) -> set[str]:
    """The modules and packages that a file imports, or names in a text."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value.partition(":")[0])
    return found


def is_linked(one: str, other: str) -> bool:
    """Whether one of two files names the other, or finds it through the table of the other's package."""
    for a, b in ((one, other), (other, one)):
        module = b.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        package = module.rpartition(".")[0]
        is_in_table = package in names(b) and re.search(ENTERS, (ROOT / b).read_text(), re.MULTILINE)
        if module in names(a) or (is_in_table and package in names(a)):
            return True
    return False


def test_every_package_is_described_and_no_other():
    described = re.findall(r"^\| `(lurk/[\w/]+)` \|", PAGE, re.MULTILINE)
    packages = {file.parent.relative_to(ROOT).as_posix() for file in (ROOT / "lurk").rglob("*/__init__.py")}
    assert sorted(described) == sorted(packages - {"lurk"})


def test_the_packages_are_in_the_order_of_imports():
    rooms = re.findall(r"^\| `lurk/(\w+)` \|", PAGE, re.MULTILINE)
    config = (ROOT / "pyproject.toml").read_text()
    layers = re.findall(r'^    "(\w+)",$', config, re.MULTILINE)
    assert rooms == [layer for layer in layers if layer in rooms]


def test_there_are_three_journeys():
    assert len(JOURNEYS) == 3
    assert set(MOST) < set(JOURNEYS)


@pytest.mark.parametrize("journey", JOURNEYS)
def test_every_file_of_a_journey_is_linked_to_one_before_it(journey):
    for stretch in stretches(journey):
        before = [file for file, _ in stretch[:1]]
        for file, through in stretch[1:]:
            links = [one for one in before if is_linked(file, one)]
            links += [one for one in before for via in through if is_linked(file, via) and is_linked(via, one)]
            assert links, file
            before.append(file)


@pytest.mark.parametrize("journey", JOURNEYS)
def test_the_number_of_files_is_what_the_page_says(journey):
    listed = {file for stretch in stretches(journey) for file, _ in stretch}
    stated = int(re.search(rf"^\| {journey} \| \d+ \| (\d+) \|", PAGE, re.MULTILINE).group(1))
    assert len(listed) == stated <= MOST.get(journey, stated)


def test_every_file_of_a_journey_runs_in_it():
    command = [sys.executable, "-m", "benchmarks.journeys"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)
    assert run.returncode == 0, run.stderr
    counted = re.split(r"^\w+: (\d+) files.*$", run.stdout, flags=re.MULTILINE)[1:]
    for journey, count, seen in zip(JOURNEYS, counted[::2], counted[1::2], strict=True):
        listed = {file for stretch in stretches(journey) for file, _ in stretch}
        assert listed - {line.split()[0] for line in seen.splitlines() if line} == set()
        stated = int(re.search(rf"^\| {journey} \|.* (\d+) \|$", PAGE, re.MULTILINE).group(1))
        assert stated == pytest.approx(int(count), rel=0.1), journey
