import argparse
import io
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from lurk.models.weights.safe_unpickle import KNOWN, CallError, InertUnpickler, Items, Name, Record
from tests.models.checkpoints import Colour, Config, Opener, Slotted


def read(data: bytes) -> object:
    return InertUnpickler(io.BytesIO(data), lambda reference: reference, KNOWN).load()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_what_they_were(protocol):
    value = {"a": [1, 2.5, None, True, "text", b"bytes", 2**70], "b": {"c": (1, 2)}, "d": OrderedDict(e=3)}
    assert read(pickle.dumps(value, protocol)) == value
    assert isinstance(read(pickle.dumps(OrderedDict(a=1), protocol)), Items)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_objects_of_other_classes_become_records(protocol):
    record = read(pickle.dumps(argparse.Namespace(rate=0.5), protocol))
    assert isinstance(record, Record)
    if protocol >= 2:
        config = read(pickle.dumps({Colour.RED: Config(a=1)}, protocol))
        (key,) = config
        assert (key.name, key.arguments) == ("tests.models.checkpoints.Colour", (1,))
        assert (record.name, record.state) == ("argparse.Namespace", {"rate": 0.5})
        assert config[key].items == {"a": 1}
        assert read(pickle.dumps(Slotted(), protocol)).state == (None, {"rate": 0.5})


def test_no_module_is_imported(tmp_path, monkeypatch):
    (tmp_path / "never_imported.py").write_text("raise SystemExit\n")
    monkeypatch.syspath_prepend(tmp_path)
    name = read(b"\x80\x02cnever_imported\nThing\n.")
    assert isinstance(name, Name)
    assert name.name == "never_imported.Thing"
    assert "never_imported" not in sys.modules


CALLS = {
    "os.system": Opener(os.system, "true"),
    "subprocess.Popen": Opener(subprocess.Popen, ["true"]),
    "builtins.exec": Opener(exec, "1"),
    "builtins.open": Opener(open, "evil", "w"),
    "builtins.__import__": Opener(__import__, "os"),
    "pathlib.Path.write_text": Opener(Path.write_text, Path("evil"), "x"),
    "torch.hub.load": Opener(torch.hub.load, "a/b", "c"),
    "numpy.lib._npyio_impl.load": Opener(np.load, "evil"),
    "pickle.loads": Opener(pickle.loads, b"."),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_a_function_is_refused(tmp_path, monkeypatch, name, protocol):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CallError):
        read(pickle.dumps({"x": CALLS[name]}, protocol))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'touch evil'\ntR.",
        b"(S'touch evil'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch evil'\no.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02cbuiltins\neval\n(X\x01\x00\x00\x001\x81.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__Ns\x86b.",
    ],
)
def test_pickles_written_by_hand_run_nothing(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    before = torch._utils._rebuild_tensor_v2.__defaults__
    try:
        value = read(data)
    except (pickle.UnpicklingError, AttributeError, TypeError, IndexError, KeyError):
        value = None
    assert value is None or isinstance(value, (Record, Name))
    assert not any(tmp_path.iterdir())
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before
