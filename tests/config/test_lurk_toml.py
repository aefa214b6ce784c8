"""The file of several studies: what it says, and every mistake with its line."""

import re
from pathlib import Path

import pytest

from lurk.config.lurk_toml import SERVER_OPTIONS, read
from lurk.config.options import STUDY_OPTIONS, Settings
from lurk.errors import LurkError

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
[server]
port = 8051
cache = "results"
allowed_host = "lab.example"

[[study]]
name = "birds"
model = "nets/birds.py:make"
weights = "birds.safetensors"
data = "photographs"
classes = "names.json"
sample = 5
layers = "layer4"
top = 4
batch_size = 8
workers = 2
device = "cpu"

[[study]]
model = "resnet18"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "birds.py").write_text("")
    (tmp_path / "birds.safetensors").write_bytes(b"")
    (tmp_path / "photographs").mkdir()
    (tmp_path / "names.json").write_text("{}")
    (tmp_path / "odd.bin").write_bytes(b"")
    (tmp_path / "list.csv").write_text("")
    return tmp_path


def write(folder, text):
    file = folder / "lurk.toml"
    file.write_text(text)
    return file


def test_a_part_of_a_weights_file_is_kept(folder):
    text = GOOD.replace('"birds.safetensors"', '"birds.safetensors:ema"')
    birds, _ = read(write(folder, text)).studies
    assert birds.weights == f"{folder}/birds.safetensors:ema"


def test_a_good_file_gives_its_studies_with_paths_from_its_folder(folder, monkeypatch):
    monkeypatch.chdir("/")
    config = read(write(folder, GOOD))
    birds, resnet = config.studies
    assert config.server == {"port": 8051, "cache": str(folder / "results"), "allowed_host": "lab.example"}
    assert birds == Settings(
        name="birds",
        model=f"{folder}/nets/birds.py:make",
        weights=f"{folder}/birds.safetensors",
        data=f"{folder}/photographs",
        classes=f"{folder}/names.json",
        sample=5,
        layers="layer4",
        top=4,
        batch_size=8,
        workers=2,
        device="cpu",
    )
    assert resnet == Settings(model="resnet18")
    assert list(config.by_name()) == ["birds", "resnet18-demo"]


def test_every_option_of_the_settings_has_a_place_in_the_file():
    known = set(Settings.__dataclass_fields__)
    assert {*SERVER_OPTIONS, *STUDY_OPTIONS, "config"} == known
    assert not set(SERVER_OPTIONS) & set(STUDY_OPTIONS)


@pytest.mark.parametrize("given", ["demo", "CIFAR10", "list.csv", "photographs"])
def test_every_kind_of_images_is_taken(folder, given):
    (study,) = read(write(folder, f'[[study]]\nmodel = "resnet18"\ndata = "{given}"\n')).studies
    assert study.data in (given, str(folder / given))


def test_a_data_set_in_a_folder_keeps_its_name(folder):
    (study,) = read(write(folder, '[[study]]\nmodel = "resnet18"\ndata = "CIFAR10:photographs"\n')).studies
    assert study.data == f"CIFAR10:{folder}/photographs"


STUDY = '[[study]]\nmodel = "resnet18"\n'
MISTAKES = {
    "syntax": ("[server]\nport = \n", 2, "not TOML", "Invalid value"),
    "a key twice": (STUDY + "top = 3\ntop = 4\n", 4, "not TOML", "overwrite"),
    "an open quote": (STUDY + 'data = "x\n', 3, "not TOML"),
    "an open list": (STUDY + "top = [1,\n\n", 3, "not TOML", "has no end"),
    "nothing in it": ("", 1, "no study", "[[study]]"),
    "no study": ("[server]\nport = 1\n", 1, "no study"),
    "an unknown table": (STUDY + "\n[sever]\n", 4, "'sever'", "[server]"),
    "a key outside": ('model = "resnet18"\n', 1, "'model'", "[[study]]"),
    "one bracket": ('\n[study]\nmodel = "resnet18"\n', 2, "two brackets"),
    "a server that is a list": ("[[server]]\nport = 1\n" + STUDY, 1, "[server]"),
    "a number as server": ("server = 3\n" + STUDY, 1, "[server]"),
    "an unknown option": (STUDY + "\nbatchsize = 4\n", 4, "'batchsize'", "did you mean batch_size?"),
    "a flag's spelling": (STUDY + "batch-size = 4\n", 3, "did you mean batch_size?"),
    "nothing like it": (STUDY + "colour = 4\n", 3, "its options are: name, model"),
    "an option of the server": (STUDY + "port = 4\n", 3, "port belongs into [server]"),
    "an option of a study": ("[server]\n# here\ntop = 4\n" + STUDY, 3, "top belongs into a [[study]]"),
    "an unknown server option": ("[server]\nprot = 4\n" + STUDY, 2, "did you mean port?"),
    "a config in a config": ('[server]\nconfig = "a.toml"\n' + STUDY, 2, "'config'"),
    "a text for a number": (STUDY + 'top = "9"\n', 3, "top is to be a whole number, not '9'"),
    "a number for a text": (STUDY + "data = 3\n", 3, "data is to be a text in quotes, not 3"),
    "a fraction": (STUDY + "sample = 1.5\n", 3, "a whole number, not 1.5"),
    "true for a number": (STUDY + "top = true\n", 3, "a whole number, not true"),
    "a number for true": ("[server]\nno_browser = 1\n" + STUDY, 2, "true or false, not 1"),
    "a list": (STUDY + 'layers = [\n"a",\n"b"]\n', 3, "a text in quotes, not a list"),
    "a table": (STUDY + 'layers.a = "b"\n', 3, "a text in quotes, not a table"),
    "a date": (STUDY + "layers = 2026-01-01\n", 3, "a date"),
    "out of range": (STUDY + "top = 0\n", 3, "top must be 1 or more, not 0"),
    "a port out of range": ("[server]\nport = 70000\n" + STUDY, 2, "port must be from 0 to 65535"),
    "no expression": (STUDY + 'layers = "("\n', 3, "layers '(' is no regular expression"),
    "an empty text": (STUDY + 'data = " "\n', 3, "data is empty"),
    "a control character": (STUDY + 'data = "a\\u0000b"\n', 3, "control character"),
    "a long text": (STUDY + f'data = "{"x" * 2000}"\n', 3, "longer than 1000"),
    "no model": (STUDY + '\n[[study]]\ndata = "demo"\n' + STUDY, 4, "no model", "efficientnet_lite0"),
    "no such model file": ('[[study]]\n\nmodel = "gone.py:make"\n', 3, "no file", "gone.py"),
    "no factory": ('[[study]]\nmodel = "nets/birds.py"\n', 2, "nets/birds.py:make"),
    "no such weights": (STUDY + 'weights = "gone.pth"\n', 3, "no file", "gone.pth"),
    "weights of no kind": (STUDY + 'weights = "runs/best"\n', 3, ".safetensors"),
    "no such folder": (STUDY + 'data = "gone"\n', 3, "gone is not there", "a folder"),
    "no such data set": (STUDY + 'data = "Gone"\n', 3, "Gone is not there", "torchvision"),
    "data of no kind": (STUDY + 'data = "odd.bin"\n', 3, "odd.bin is none of"),
    "no such list": (STUDY + 'data = "gone.csv"\n', 3, "gone.csv"),
    "no folder of a data set": (STUDY + 'data = "CIFAR10:gone"\n', 3, "no folder", "gone"),
    "no such class names": (STUDY + 'classes = "gone.json"\n', 3, "no file", "gone.json"),
    "a name with a slash": (STUDY + 'name = "a/b"\n', 3, "name must be", "'a/b'"),
    "a name of dots": (STUDY + 'name = ".."\n', 3, "name must be"),
    "a name that is a flag": (STUDY + 'name = "-x"\n', 3, "name must be"),
    "a name with a blank": (STUDY + 'name = "a b"\n', 3, "name must be"),
    "a name in another script": (STUDY + 'name = "vögel"\n', 3, "name must be"),
    "a long name": (STUDY + f'name = "{"x" * 81}"\n', 3, "1 to 80"),
    "a name twice": (STUDY + 'name = "a"\n' + STUDY + 'name = "a"\n', 6, "line 1", "'a' too"),
    "a name twice but for case": (STUDY + 'name = "a"\n' + STUDY + 'name = "A"\n', 6, "line 1"),
    "a study twice": (STUDY + STUDY, 3, "the same model", "'resnet18-demo' too"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_line(folder, name):
    text, line, *said = MISTAKES[name]
    file = write(folder, text)
    with pytest.raises(LurkError) as error:
        read(file)
    message = str(error.value)
    assert message.startswith(f"{file}:{line}: "), message
    for words in said:
        assert words in message
    assert "\n" not in message
    assert "--" not in message.replace("--config", "")


def test_a_file_of_another_encoding_is_named_with_its_line(folder):
    file = folder / "lurk.toml"
    file.write_bytes(b"[[study]]\nmodel = 'v\xf6gel'\n")
    with pytest.raises(LurkError, match=rf"{file}:2: is not UTF-8"):
        read(file)


def test_lines_that_end_as_on_windows_are_read(folder):
    file = folder / "lurk.toml"
    file.write_bytes(b"\xef\xbb\xbf[[study]]\r\nmodel = 'resnet18'\r\ntop = 0\r\n")
    with pytest.raises(LurkError, match=r"lurk.toml:3: top"):
        read(file)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LurkError, match=r"gone\.toml' cannot be read: No such file"):
        read(tmp_path / "gone.toml")
    with pytest.raises(LurkError, match="Is a directory"):
        read(tmp_path)


def test_a_huge_file_is_not_read(tmp_path):
    file = tmp_path / "lurk.toml"
    file.write_bytes(b"#" * (2 << 20))
    with pytest.raises(LurkError, match="larger than 1 MB"):
        read(file)


def test_reading_a_file_never_loads_torch(folder):
    import subprocess
    import sys

    file = write(folder, GOOD)
    code = f"import sys; from lurk.config.lurk_toml import read; read({str(file)!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_readmes_example_is_a_good_file(folder):
    (folder / "runs").mkdir()
    (folder / "runs" / "best.safetensors").write_bytes(b"")
    example = re.search(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL).group(1)
    config = read(write(folder, example))
    assert config.server == {"port": 8050, "cache": str(folder / "results"), "memory": 8000}
    assert [study.study for study in config.studies] == ["birds", "resnet18-demo"]
