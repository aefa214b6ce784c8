import pytest

from lurk.config.model_name import is_network_file
from lurk.config.options import Settings
from lurk.config.staleness import made_with


def test_files_with_a_network_are_told_from_names_and_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.bin").touch()
    for name in ("net.pt2", "runs/net.PT", "net.bin"):
        assert is_network_file(name)
    for name in (
        "resnet18",
        "timm/resnet18.a1_in1k",
        "net.py",
        "net.py:make",
        "package.module:make",
        "hf/folder",
        "b.bin",
    ):
        assert not is_network_file(name)


@pytest.mark.parametrize("model", ["net.pt2", "net.py:make"])
def test_a_change_of_the_model_file_is_noticed(tmp_path, model):
    (tmp_path / model.partition(":")[0]).write_text("one")
    before = made_with(Settings(model=str(tmp_path / model)))
    (tmp_path / model.partition(":")[0]).write_text("longer")
    assert made_with(Settings(model=str(tmp_path / model))) != before
