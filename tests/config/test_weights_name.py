import pytest

from lurk.config.weights_name import is_weights_file, split_weights


@pytest.mark.parametrize(
    ("weights", "file", "part"),
    [
        ("a.pth", "a.pth", ""),
        ("runs/a.ckpt:ema", "runs/a.ckpt", "ema"),
        ("a.pth:state_dict.model", "a.pth", "state_dict.model"),
        ("a.pth:", "a.pth", ""),
        ("a.pth:.", "a.pth", "."),
        (r"C:\runs\a.pth", r"C:\runs\a.pth", ""),
        (r"C:\runs\a.pth:ema", r"C:\runs\a.pth", "ema"),
        ("C:/runs/a.pth", "C:/runs/a.pth", ""),
        ("C:a.pth", "C:a.pth", ""),
        ("pytorch_model.bin.index.json:model", "pytorch_model.bin.index.json", "model"),
        ("ResNet18_Weights.IMAGENET1K_V1", "ResNet18_Weights.IMAGENET1K_V1", ""),
        ("random", "random", ""),
    ],
)
def test_a_part_follows_the_files_name(weights, file, part):
    assert split_weights(weights) == (file, part)


def test_a_file_whose_name_has_a_colon_is_that_file(tmp_path):
    (tmp_path / "a.pth:ema").touch()
    (tmp_path / "weights").touch()
    assert split_weights(f"{tmp_path}/a.pth:ema") == (f"{tmp_path}/a.pth:ema", "")
    assert split_weights(f"{tmp_path}/weights:ema") == (f"{tmp_path}/weights", "ema")
    assert is_weights_file(f"{tmp_path}/weights:ema")
    assert split_weights(f"{tmp_path}/weights:runs/1") == (f"{tmp_path}/weights", "runs/1")
    assert split_weights(f"{tmp_path}/none.pth:runs/1.pth") == (f"{tmp_path}/none.pth:runs/1.pth", "")
    assert is_weights_file("none.PTH:ema")
    assert not is_weights_file("IMAGENET1K_V1")


def test_a_word_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word in ("random", "DEFAULT"):
        (tmp_path / word).touch()
        assert not is_weights_file(word)


def test_a_name_that_no_file_can_have_is_no_file():
    assert not is_weights_file("x" * 900)
    assert is_weights_file("x" * 900 + ".pth:ema")
