"""The README and docs tell the truth: options, commands, methods and modules exist, commands and examples run."""

import ast
import dataclasses
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lurk.cli import _parser, main
from lurk.commands import COMMANDS
from lurk.config.options import Settings, flag

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
EXAMPLE = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in ("README.md", "CHANGELOG.md"))]
TEXTS = [*PAGES, ROOT / "Dockerfile", ROOT / "compose.yaml"]
PROGRAMS = sorted(file for folder in ("benchmarks", "docker", "docs") for file in (ROOT / folder).rglob("*.py"))
NO_MODULES = {"lurk.toml", "lurk.example.org", "lurk.pem", "lurk.key"}


def option_rows() -> list[str]:
    """The README's table of options, made from the settings."""
    rows = []
    for item in dataclasses.fields(Settings):
        default = "" if item.default in (None, False) else f"`{item.default}`"
        rows.append(f"| `{flag(item.name)}` | {default} | {item.metadata['help']} |")
    return rows


def test_every_option_is_in_the_readme_with_its_default_and_help():
    for row in option_rows():
        assert row in README, row


def method_rows() -> list[str]:
    """The README's table of methods, made from their specs."""
    from lurk.methods import METHODS

    specs = [METHODS[name].spec for name in METHODS]
    return [f"| `{spec.name}` | {spec.gives} | {spec.shows} |" for spec in specs]


def test_every_method_is_in_the_readme():
    for row in method_rows():
        assert row in README, row


def test_every_method_is_in_the_page_of_methods_with_its_paper_and_caution():
    from lurk.methods import METHODS

    page = (ROOT / "docs" / "methods.md").read_text()
    for name in METHODS:
        spec = METHODS[name].spec
        assert f"### `{name}`" in page
        for words in (spec.shows, spec.paper, spec.caution, f"Version {spec.version}."):
            assert words in page, words
        for option in spec.options:
            assert f"- `{option.name}`, {option.default}: {option.help}" in page, option.name


def test_every_command_is_in_the_readme():
    for command in COMMANDS:
        assert f"`{command}`" in README or f"lurk {command}`" in README


def commands_in_readme() -> list[list[str]]:
    lines = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
    commands = [line.partition("#")[0].strip() for line in lines]
    return [shlex.split(command) for command in commands if command.startswith("python ")]


def test_the_readme_has_commands_with_python():
    assert len(commands_in_readme()) >= 3


@pytest.mark.parametrize("command", commands_in_readme(), ids=" ".join)
def test_a_command_of_the_readme_is_understood(command, tmp_path, capsys):
    """Options parse; what such a command names as an example is answered with one line."""
    arguments = command[2:] if command[1] == "app.py" else command[3:]
    words = arguments if arguments[0] in COMMANDS else ["serve", *arguments]
    _parser().parse_args(words)
    words[0] = words[0].replace("serve", "sweep")  # finds the same mistakes without a server
    assert main([*words, "--cache", str(tmp_path / "cache")]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert re.search(r"path/to|my_package", said)


@pytest.mark.slow
@pytest.mark.parametrize("command", [one for one in commands_in_readme() if one[1] == "app.py"], ids=" ".join)
def test_what_a_server_of_the_readme_does_not_find_is_said(command, tmp_path):
    command = [sys.executable, *command[1:], "--no-browser", "--port", "0", "--cache", str(tmp_path / "cache")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
    assert run.returncode == 2
    assert re.search(r"path/to|my_package", run.stderr)


def test_make_knows_the_readmes_two_commands():
    makefile = (ROOT / "Makefile").read_text()
    assert re.findall(r"^make (\w+)", README, re.MULTILINE) == ["run", "test"]
    assert all(f"\n{target}:" in makefile for target in ("run", "test", "check", "bench"))


def test_the_python_example_of_the_readme_runs_with_fewer_steps(put_demo_set, tmp_path, monkeypatch, capsys):
    put_demo_set(tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    assert "steps=32" in EXAMPLE
    exec(EXAMPLE.replace("steps=32", "steps=2"), {})
    assert "http://127.0.0.1" in capsys.readouterr().out


@pytest.mark.slow
def test_the_python_example_of_the_readme_runs(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", EXAMPLE],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "http://127.0.0.1" in run.stdout


def test_every_public_name_has_an_example_or_a_docstring():
    import lurk

    for name in lurk.__all__:
        assert getattr(lurk, name).__doc__, name


def test_the_pins_agree():
    pins = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line)
    lock = (ROOT / "requirements.lock.txt").read_text()
    for name, version in pins.items():
        assert f"\n{name.partition('[')[0]}=={version}" in "\n" + lock, name
    assert pins["torch"] == "2.14.1"
    assert pins["torchvision"] == "0.29.1"


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_every_file_and_module_that_is_named_exists(file):
    text = file.read_text()
    shown = re.findall(r"^# (lurk/\S+\.py)$", text, re.MULTILINE)  # code that a reader is to add
    for path in re.findall(r"(?<![\w/])lurk/[\w/]*\w(?:\.py)?", text):
        assert path in shown or (ROOT / path).exists(), path
    for name in set(re.findall(r"(?<![\w./])lurk(?:\.\w+)+", text)) - NO_MODULES:
        if not any(name.replace(".", "/") + ".py" == path for path in shown):
            assert _exists(name), name


def _exists(name: str) -> bool:
    """Whether a dotted name is a public name of `lurk`, a module, or a name in a module."""
    module, _, last = name.rpartition(".")
    if (ROOT / f"{name.replace('.', '/')}.py").is_file() or (ROOT / name.replace(".", "/")).is_dir():
        return True
    return hasattr(importlib.import_module(module), last)


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: file.name)
def test_every_import_of_a_program_beside_the_package_exists(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lurk"):
            assert [one.name for one in node.names if not _exists(f"{node.module}.{one.name}")] == []


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: file.name)
def test_every_module_that_a_program_names_exists(file):
    for name in re.findall(r"""["'](lurk(?:\.\w+)+)["']""", file.read_text()):
        assert _exists(name), name


def commands_of_benchmarks() -> list[str]:
    return sorted({line for page in PAGES for line in re.findall(r"python -m benchmarks\.[^`\n]+", page.read_text())})


@pytest.mark.parametrize("command", commands_of_benchmarks())
def test_a_benchmark_knows_the_options_that_a_page_gives_it(command):
    program, _, options = command.removeprefix("python -m ").partition(" ")
    path = ROOT / program.replace(".", "/")
    text = (path / "__main__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    known = re.findall(r'"(?:--)?([\w-]+)"', text)
    assert set(re.findall(r"--([\w-]+)", options)) <= set(known)
