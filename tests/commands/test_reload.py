"""`reload`, and `--config` on the command line."""

import os
from dataclasses import replace

import pytest

from lurk.cli import main
from lurk.commands import COMMANDS
from lurk.config.lurk_toml import read
from lurk.jobs.open_queue import open_local_queue
from lurk.service.study_changes import apply_config
from lurk.storage.cache_dir import prepare_cache

STUDY = '[[study]]\nname = "{0}"\nmodel = "resnet18"\n'


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file, and this process in the place of the server that runs with it."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "lurk.toml"
    file.write_text('[server]\ncache = "results"\n' + STUDY.format("a"))
    return file


@pytest.fixture
def running(file, tmp_path):
    cache = prepare_cache(tmp_path / "results")
    apply_config(cache, read(file), open_local_queue(cache), process=os.getpid())
    return file


def test_it_prints_what_was_added_and_removed(running, capsys):
    running.write_text('[server]\ncache = "results"\nport = 1\n' + STUDY.format("b"))
    assert main(["reload", "--config", "lurk.toml"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == ["added   b", "removed a", f"1 study: {running}", "takes a restart: port"]
    assert main(["reload", "--cache", "results"]) == 0
    assert "no study has changed" in capsys.readouterr().out


def test_a_broken_file_is_named_with_its_line_and_changes_nothing(running, capsys):
    before = running.with_name("results").joinpath("served")
    texts = [file.read_text() for file in before.glob("*.json")]
    running.write_text(running.read_text() + "top = 0\n")
    for arguments in (["--config", "lurk.toml"], ["--cache", "results"]):
        assert main(["reload", *arguments]) == 2
        said = capsys.readouterr().err
        assert f"{running}:6: top must be 1 or more, not 0" in said
        assert "goes on with the studies that it has" in said
        assert len(said.splitlines()) == 1
    assert [file.read_text() for file in before.glob("*.json")] == texts


def test_without_a_server_it_says_how_to_start_one(file, capsys, tmp_path):
    assert main(["reload", "--config", "lurk.toml"]) == 2
    assert f"python app.py --config {file}" in capsys.readouterr().err
    assert main(["reload"]) == 2
    assert "no server with a --config runs" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_of_several_servers_one_must_be_named(running, tmp_path, capsys):
    other = tmp_path / "other.toml"
    other.write_text(STUDY.format("c"))
    cache = tmp_path / "results"
    apply_config(cache, read(other), open_local_queue(cache), process=os.getpid())
    assert main(["reload", "--cache", "results"]) == 2
    said = capsys.readouterr().err
    assert "say which with --config" in said
    assert str(other) in said
    assert main(["reload", "--cache", "results", "--config", "third.toml"]) == 2


@pytest.mark.parametrize("command", ["serve", "sweep"])
@pytest.mark.parametrize(
    ("more", "named"),
    [(["--model", "vgg16"], "--model"), (["--top", "3"], "--top"), (["--name", "x"], "--name")],
)
def test_a_file_and_a_study_do_not_go_together(file, capsys, command, more, named):
    assert main([command, "--config", "lurk.toml", *more]) == 2
    said = capsys.readouterr().err
    assert f"--config and {named} do not go together" in said
    assert len(said.splitlines()) == 1


def test_a_study_of_the_environment_is_refused_too(file, capsys, monkeypatch):
    monkeypatch.setenv("LURK_MODEL", "vgg16")
    assert main(["serve", "--config", "lurk.toml"]) == 2
    assert "LURK_MODEL" in capsys.readouterr().err


def test_flags_win_over_the_environment_and_that_over_the_file(file, monkeypatch, capsys):
    seen = []
    serve = replace(COMMANDS["serve"], run=lambda settings, given: seen.append(settings) or 0)
    monkeypatch.setattr("lurk.cli.COMMANDS", {"serve": serve})
    file.write_text('[server]\nport = 1\nhost = "::1"\nno_browser = true\n' + STUDY.format("a"))
    monkeypatch.setenv("LURK_CONFIG", str(file))
    assert main([]) == 0
    monkeypatch.setenv("LURK_PORT", "2")
    assert main([]) == 0
    assert main(["--port", "3"]) == 0
    assert [(one.port, one.host, one.no_browser) for one in seen] == [(n, "::1", True) for n in (1, 2, 3)]


def test_a_mistake_in_the_file_ends_serve_with_2(file, capsys):
    file.write_text(STUDY.format("a/b"))
    assert main(["--config", "lurk.toml"]) == 2
    assert f"{file}:2: name must be" in capsys.readouterr().err


def test_sweep_takes_every_study_of_a_file(arguments, tmp_path, capsys):
    net, images = arguments[1], arguments[3]
    file = tmp_path / "several.toml"
    tables = [
        f'[[study]]\nname = "{name}"\nmodel = "{net}"\ndata = "{images}"\ntop = {top}\n'
        for name, top in (("a", 3), ("b", 4))
    ]
    file.write_text("".join(tables))
    assert main(["sweep", "--config", str(file), "--cache", str(tmp_path / "cache")]) == 0
    assert capsys.readouterr().out.count("13 images, 2 layers, 6 units") == 2
    assert sorted(one.name for one in (tmp_path / "cache" / "studies").iterdir()) == ["a.json", "b.json"]
