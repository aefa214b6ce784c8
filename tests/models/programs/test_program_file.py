import io
import pickle
import warnings
import zipfile

import pytest
import torch
from torch import nn

from lurk.errors import ModelError
from lurk.models.programs.program_file import read_program
from tests.models.programs.made import Small, exported, images, made, scripted, traced


class Calling:
    """Would make a file if it were unpickled."""

    def __init__(self, file) -> None:
        self.file = file

    def __reduce__(self):
        return (open, (str(self.file), "w"))


class Remembering(nn.Module):
    """Runs code of its own when it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x)

    @torch.jit.export
    def __getstate__(self):
        return (self.training,)

    @torch.jit.export
    def __setstate__(self, state: tuple[bool]):
        self.training = state[0]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A scripted, a traced and an exported network in files of any name."""
    folder, net = tmp_path_factory.mktemp("programs"), made(Small)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted(net).save(folder / "scripted.pt")
        traced(net).save(folder / "traced.ts")
        scripted(net)._save_for_lite_interpreter(str(folder / "mobile.ptl"))
        torch.export.save(exported(net), folder / "exported.pt2")
    return folder


@pytest.mark.parametrize("name", ["scripted.pt", "traced.ts", "mobile.ptl", "exported.pt2"])
def test_a_file_gives_the_network_that_was_saved(files, tmp_path, name):
    (tmp_path / "any.bin").write_bytes((files / name).read_bytes())
    module = read_program(tmp_path / "any.bin").eval()
    torch.testing.assert_close(module(images(3)), made(Small)(images(3)), rtol=0, atol=0)


def rewritten(file, target, change):
    """Copy an archive, with entries that `change` gives another content."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b'"torch.ops.aten.relu.default"', b'"torch.hub.os.system"', "the operator 'torch.hub.os.system'"),
        (b'"torch.ops.aten.relu.default"', b'"builtins.eval"', "the operator 'builtins.eval'"),
        (b"Symbol('s", b"__import__('os')+Symbol('s", "an unknown expr_str"),
        (rb"\"builtins.dict\"", rb"\"collections.defaultdict\"", "an unknown in_spec"),
        (b'"forward_arg_names": ["x"]', b'"forward_arg_names": ["x=print(1)"]', "an unknown forward_arg_names"),
        (b'"name": "conv2d"', b'"name": "conv2d=eval(\'1\')"', "an unknown name"),
        (b'"use_pickle": false', b'"use_pickle": true', "holds Python objects, not tensors alone"),
        (b'"path_name": "weight_0"', b'"path_name": "custom_obj_0"', "an unknown path_name"),
    ],
)
def test_an_exported_program_that_would_run_something_is_refused_unread(files, tmp_path, monkeypatch, old, new, why):
    def never(*_args, **_options):
        raise AssertionError("it was read")

    monkeypatch.setattr(torch.export, "load", never)
    changed = []

    def change(_name, data):
        changed.append(data.replace(old, new, 1) != data)
        return data.replace(old, new, 1)

    rewritten(files / "exported.pt2", tmp_path / "bad.pt2", change)
    assert any(changed)
    with pytest.raises(ModelError, match=why):
        read_program(tmp_path / "bad.pt2")


def test_a_pickle_in_an_exported_program_is_not_run(files, tmp_path):
    data = io.BytesIO()
    torch.save((Calling(tmp_path / "made"),), data)
    rewritten(
        files / "exported.pt2",
        tmp_path / "bad.pt2",
        lambda name, old: data.getvalue() if "sample_inputs" in name else old,
    )
    with pytest.raises(ModelError, match=r"^it holds Python objects that would run code"):
        read_program(tmp_path / "bad.pt2")
    assert not (tmp_path / "made").exists()


def test_torchscript_that_runs_code_when_it_is_read_is_refused(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted(Remembering()).save(tmp_path / "net.pt")
    with pytest.raises(ModelError, match=r"^it would run code while it is read \(__setstate__\)"):
        read_program(tmp_path / "net.pt")


def test_an_archive_with_two_entries_of_one_name_is_refused(files, tmp_path):
    (tmp_path / "net.pt").write_bytes((files / "scripted.pt").read_bytes())
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "net.pt", "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(archive.namelist()[0], b"")
    with pytest.raises(ModelError, match=r"^two of its entries have one name"):
        read_program(tmp_path / "net.pt")


def quantised(folder):
    net = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Flatten(), nn.Linear(3, 3)), {nn.Linear})
    torch.jit.script(net).save(folder / "net.pt")


OTHERS = {
    "weights": (lambda folder: torch.save(made(Small).state_dict(), folder / "net.pt"), "goes with --weights, beside"),
    "a pickled dict": (lambda folder: (folder / "net.pt").write_bytes(pickle.dumps({})), "goes with --weights"),
    "quantised": (quantised, "^it is quantised"),
    "ExecuTorch": (lambda folder: (folder / "net.pt").write_bytes(b"\x1c\0\0\0ET12" + bytes(60)), "ExecuTorch"),
    "ONNX": (lambda folder: (folder / "net.pt").write_bytes(b"\x08\x08\x12\x07pytorch" + bytes(60)), "an ONNX model"),
    "empty": (lambda folder: (folder / "net.pt").write_bytes(b""), "^it is empty"),
    "noise": (lambda folder: (folder / "net.pt").write_bytes(b"noise" * 40), r"^it is no file of torch\.jit\.save"),
    "a web page": (lambda folder: (folder / "net.pt").write_bytes(b"<!DOCTYPE html>"), "^it is a web page"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_files_are_told_for_what_they_are(tmp_path, kind):
    make, why = OTHERS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make(tmp_path)
    with pytest.raises(ModelError, match=why) as caught:
        read_program(tmp_path / "net.pt")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300


def test_other_archives_are_told_for_what_they_are(tmp_path):
    for name, why in {
        "net/data/aotinductor/model/x.so": "^AOTInductor compiled it",
        "serialized_exported_program.json": "^an older torch exported it",
        "word/document.xml": "^it is an archive of other files: document.xml",
    }.items():
        with zipfile.ZipFile(tmp_path / "net.pt2", "w") as archive:
            archive.writestr(name, b"")
        with pytest.raises(ModelError, match=why):
            read_program(tmp_path / "net.pt2")


@pytest.mark.parametrize("name", ["scripted.pt", "exported.pt2"])
def test_damaged_files_are_told_in_one_line(files, tmp_path, name):
    whole = (files / name).read_bytes()
    for damaged in (whole[:-200], whole[: len(whole) // 2], whole[:3000] + bytes(2000) + whole[5000:]):
        (tmp_path / "net").write_bytes(damaged)
        with pytest.raises(ModelError, match=r"^it is damaged") as caught:
            read_program(tmp_path / "net")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) <= 300
