import numpy as np
import pytest

from lurk.cli import main
from lurk.storage.manifest import generation_folder, read_manifest


def test_sweep_says_what_it_made_and_what_it_skipped(arguments, capsys):
    assert main(["sweep", *arguments]) == 0
    out, err = capsys.readouterr()
    assert "13 images, 2 layers, 6 units" in out
    assert "skipped class0/bad.png" in err


def test_doctor_finds_all_well_and_then_a_damaged_score(arguments, tmp_path, capsys):
    main(["sweep", *arguments])
    assert main(["doctor", *arguments, "--verify", "6"]) == 0
    assert "hits of 6 units agree" in capsys.readouterr().out
    folder = next((tmp_path / "cache" / "index").iterdir())
    file = generation_folder(folder, read_manifest(folder).generation) / "top_max_score.npy"
    scores = np.load(file)
    scores[0, 0] += 0.5
    np.save(file, scores)
    assert main(["doctor", *arguments, "--verify", "6"]) == 2
    assert "stored" in capsys.readouterr().err


def test_doctor_verifies_only_what_was_swept(arguments, capsys):
    assert main(["doctor", *arguments, "--verify"]) == 2
    assert "run the sweep" in capsys.readouterr().err


def test_doctor_reports_each_study_of_a_file(arguments, tmp_path, capsys):
    file = tmp_path / "lurk.toml"
    study = '[[study]]\nmodel = "net.py:make"\ndata = "images"\n'
    file.write_text(f'[server]\ncache = "cache"\n{study}name = "swept"\n{study}name = "new"\nlayers = "0"\n')
    main(["sweep", *arguments, "--name", "swept"])
    capsys.readouterr()
    assert main(["doctor", "--config", str(file)]) == 0
    out = capsys.readouterr().out
    assert "swept: complete, 1 skipped" in out
    assert "new: not swept yet" in out
    assert main(["doctor", "--config", str(file), "--verify", "2"]) == 2
    assert "study 'new' has no index" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            ["sweep", "--colour", "red"],
            "lurk: unrecognized arguments: --colour red; lurk --help explains the options\n",
        ),
        (
            ["sweep", "--top", "x"],
            "lurk: argument --top: invalid int value: 'x'; lurk sweep --help explains the options\n",
        ),
        (
            ["serve", "--model"],
            "lurk: argument --model: expected one argument; lurk serve --help explains the options\n",
        ),
    ],
)
def test_a_bad_option_ends_with_2_and_one_line(capsys, given, words):
    with pytest.raises(SystemExit) as stop:
        main(given)
    assert stop.value.code == 2
    assert capsys.readouterr().err == words


def test_an_unknown_command_is_named_with_the_known_ones(capsys):
    assert main(["swep", "--help"]) == 2
    assert capsys.readouterr().err.startswith("lurk: there is no command 'swep'; known are doctor, ")


def test_a_loop_of_links_and_a_cache_without_a_name_are_told_in_one_line(arguments, tmp_path, capsys):
    (tmp_path / "loop").symlink_to("loop")
    assert main(["sweep", *arguments, "--data", str(tmp_path / "loop")]) == 2
    assert "there is no such folder or list" in capsys.readouterr().err
    assert main(["sweep", *arguments, "--cache", ""]) == 2
    assert capsys.readouterr().err == "lurk: --cache is empty; name a folder of its own\n"


def test_help_explains_every_option_in_a_line(capsys):
    for command in ("serve", "sweep", "worker", "doctor"):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
    assert "--verify" in capsys.readouterr().out


def test_without_a_command_it_is_serve(arguments, capsys):
    assert main(["--host", "0.0.0.0", *arguments]) == 2
    assert "ssh -L" in capsys.readouterr().err


def test_what_was_understood_is_printed_and_kept(arguments, tmp_path, capsys):
    rows = "".join(f"class{number % 2}/{number}.png,{number % 2}\n" for number in range(4))
    (tmp_path / "images" / "list.csv").write_text(f"imgpath,diagnosis\n{rows}")
    assert main(["sweep", *arguments, "--data", str(tmp_path / "images" / "list.csv")]) == 0
    err = capsys.readouterr().err
    (folder,) = (tmp_path / "cache" / "index").iterdir()
    notes = read_manifest(folder).notes
    assert any("diagnosis" in note for note in notes)
    assert all(f"lurk: {note}\n" in err for note in notes)


@pytest.mark.slow
def test_sweep_shares_the_images_among_the_workers_of_several_gpus(arguments, capsys, monkeypatch):
    monkeypatch.setattr("lurk.commands.sweep.worker_count", lambda _device: 2)
    assert main(["sweep", *arguments, "--shards", "3", "--batch-size", "4"]) == 0
    assert capsys.readouterr().out.startswith("13 images, 2 layers, 6 units")
