"""How the code is laid out: packages and modules of a size to read, tests that mirror them, an order of imports."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 350
MOST = 20
PLUGINS = {"commands", "images/sources", "methods", "models/sources", "web/ui/panels"}
WITHOUT_A_MODULE = {
    "acceptance": "starts real servers and workers",
    "browser": "drives the pages in Chromium",
    "test_architecture.py": "checks docs/architecture.md against the code",
    "test_docker.py": "reads the Dockerfile and compose.yaml",
    "test_docs.py": "reads README.md and docs/",
    "test_examples.py": "runs what examples/ shows",
    "test_from_torchlurk.py": "runs the code of docs/from-torchlurk.md",
    "test_typing.py": "checks a user's script with mypy",
    "test_extending.py": "adds the files that docs/extending.md shows",
    "test_layout.py": "reads the folders",
    "test_architectures.py": "runs the benchmark of architectures",
    "test_input_shapes.py": "sweeps and draws with inputs of many shapes",
    "test_load.py": "runs the load benchmark",
    "test_performance.py": "runs the benchmark of performance",
    "test_scale.py": "checks the commands and figures of docs/scale.md",
    "methods/test_contract.py": "runs every method on every small network",
    "service/test_service_people.py": "sees the jobs of a service as several people do",
    "web/server/test_hostile.py": "sends hostile requests to both real servers",
    "web/ui/test_fake.py": "compares the fake service of the tests with the real one",
    "web/ui/test_refusals.py": "sends wrong requests to every route",
}


def modules(root: Path) -> list[Path]:
    """The Python files of the package, relative to it."""
    return sorted(file.relative_to(root / "lurk") for file in (root / "lurk").rglob("*.py"))


def too_large(root: Path) -> Iterator[str]:
    """Packages with too many names to look through, and modules with too many lines to read."""
    for package in sorted({file.parent for file in modules(root)}):
        names = {file.relative_to(package).parts[0] for file in modules(root) if file.is_relative_to(package)}
        if len(names) > MOST and package.as_posix() not in PLUGINS:
            yield f"lurk/{package} has {len(names)} names"
    for file in modules(root):
        lines = len((root / "lurk" / file).read_text().splitlines())
        if lines > LONGEST:
            yield f"lurk/{file} has {lines} lines"


def misplaced(root: Path) -> Iterator[str]:
    """Tests without their module: tests/a/test_b.py is for lurk/a/b.py, tests/a/test_a.py for lurk/a/__init__.py."""
    for file in sorted((root / "tests").rglob("test_*.py")):
        place = file.relative_to(root / "tests")
        if place.as_posix() in WITHOUT_A_MODULE or place.parts[0] in WITHOUT_A_MODULE:
            continue
        name = place.stem.removeprefix("test_")
        is_package = place.parent.name == name and (root / "lurk" / place.parent / "__init__.py").is_file()
        if not is_package and not (root / "lurk" / place.parent / f"{name}.py").is_file():
            yield f"tests/{place} has no lurk/{place.parent / name}.py"


def outside_the_contract(root: Path) -> Iterator[str]:
    """Names in `lurk/` that have no place in the order of imports, and names there that `lurk/` does not have."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    order = next(
        contract for contract in contracts if contract["type"] == "layers" and contract["containers"] == ["lurk"]
    )
    if not order.get("exhaustive"):
        yield "the order of imports is not exhaustive"
    placed = {name.strip("() ") for line in order["layers"] for part in line.split(":") for name in part.split("|")}
    names = {Path(file.parts[0]).stem for file in modules(root)} - {"__init__"}
    yield from (f"{name} is not in both lurk/ and the order of imports" for name in sorted(placed ^ names))


def filled(root: Path) -> Iterator[str]:
    """Each `__init__.py` that holds code though its package is neither the public interface nor a table of plug-ins."""
    for file in modules(root):
        may_hold_code = file.name != "__init__.py" or file.parent.as_posix() in PLUGINS | {"."}
        if not may_hold_code and len(ast.parse((root / "lurk" / file).read_text()).body) > 1:
            yield f"lurk/{file} holds code"


RULES = (too_large, misplaced, outside_the_contract, filled)


@pytest.mark.parametrize("rule", RULES)
def test_the_code_stands_where_one_looks_for_it(rule):
    assert list(rule(ROOT)) == []


def test_the_exceptions_are_there():
    assert [name for name in WITHOUT_A_MODULE if not (ROOT / "tests" / name).exists()] == []
    assert [name for name in PLUGINS if not (ROOT / "lurk" / name / "__init__.py").is_file()] == []


@pytest.fixture
def small(tmp_path):
    """A project that keeps every rule."""
    for folder in ("lurk/room", "lurk/methods", "tests/room"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("lurk/__init__.py", "lurk/room/__init__.py", "lurk/room/chair.py", "lurk/methods/__init__.py"):
        (tmp_path / file).write_text('"""One line."""\n')
    (tmp_path / "tests/room/test_chair.py").touch()
    (tmp_path / "tests/room/test_room.py").touch()
    (tmp_path / "pyproject.toml").write_text(
        '[[tool.importlinter.contracts]]\ntype = "layers"\ncontainers = ["lurk"]\nexhaustive = true\n'
        'layers = ["room", "methods"]\n'
    )
    return tmp_path


def test_a_project_that_keeps_the_rules_passes(small):
    assert [broken for rule in RULES for broken in rule(small)] == []


@pytest.mark.parametrize(("folder", "before"), [("lurk/.", 3), ("lurk/room", 2)])
def test_a_package_of_more_than_20_names_is_found(small, folder, before):
    for number in range(20 - before):
        (small / folder / f"thing{number}.py").touch()
    assert list(too_large(small)) == []
    (small / folder / "one_more").mkdir()
    (small / folder / "one_more" / "thing.py").touch()
    assert list(too_large(small)) == [f"{folder} has 21 names"]


def test_a_plugin_folder_may_hold_as_many_as_there_are(small):
    for number in range(30):
        (small / "lurk/methods" / f"method{number}.py").touch()
    assert list(too_large(small)) == []


def test_a_long_module_is_found(small):
    (small / "lurk/room/chair.py").write_text("\n" * 351)
    assert list(too_large(small)) == ["lurk/room/chair.py has 351 lines"]


@pytest.mark.parametrize("file", ["tests/room/test_table.py", "tests/test_chair.py", "tests/methods/test_room.py"])
def test_a_test_without_its_module_is_found(small, file):
    (small / file).parent.mkdir(exist_ok=True)
    (small / file).touch()
    (found,) = misplaced(small)
    assert found.startswith(f"{file} has no lurk/")


def test_a_package_outside_the_contract_is_found(small):
    (small / "lurk/attic").mkdir()
    (small / "lurk/attic/box.py").touch()
    assert list(outside_the_contract(small)) == ["attic is not in both lurk/ and the order of imports"]


def test_a_contract_that_is_not_exhaustive_is_found(small):
    file = small / "pyproject.toml"
    file.write_text(file.read_text().replace("exhaustive = true", "exhaustive = false"))
    assert list(outside_the_contract(small)) == ["the order of imports is not exhaustive"]


def test_code_in_an_init_is_found(small):
    (small / "lurk/room/__init__.py").write_text('"""One line."""\nfrom lurk.room.chair import Chair\n')
    assert list(filled(small)) == ["lurk/room/__init__.py holds code"]
