import gc
import os
import weakref

import pytest
import torch
from torch import nn

from lurk.models.load_model import load_model
from lurk.models.model import Model
from lurk.models.normalisation import Normalisation
from lurk.models.user_code import activate
from lurk.worker import model_cache
from lurk.worker.model_cache import ModelCache, weight_bytes

BYTES = 4 * 1000 * 4


def network(size: int = BYTES) -> Model:
    """A model whose weights take so many bytes."""
    module = nn.Sequential(nn.Conv2d(size // 16, 4, 1, bias=False))
    return Model(
        module,
        lambda image: torch.zeros(1),
        None,
        "toy",
        "pretrained",
        "toy",
        (3, 1, 1),
        "none",
        Normalisation((0.0,), (1.0,)),
    )


class Loads:
    def __init__(self) -> None:
        self.names: list[str] = []

    def get(self, kept: ModelCache, name: str, size: int = BYTES) -> Model:
        def load() -> Model:
            self.names.append(name)
            return network(size)

        return kept.get(name, None, load)


@pytest.fixture
def loads():
    return Loads()


def test_weights_and_buffers_count_and_what_is_shared_counts_once():
    module = nn.Sequential(nn.Linear(10, 10, bias=False), nn.BatchNorm1d(10))
    module.append(module[0])
    model = network()
    model.module = module
    assert weight_bytes(model) == 4 * (100 + 10 + 10 + 10 + 10) + 8


def test_a_model_is_loaded_once_while_it_fits(loads):
    kept = ModelCache(3 * BYTES)
    models = [loads.get(kept, name) for name in "abcabc"]
    assert loads.names == ["a", "b", "c"]
    assert models[:3] == models[3:]
    assert (len(kept), kept.bytes) == (3, 3 * BYTES)


def test_the_least_recently_used_goes_first(loads):
    kept = ModelCache(3 * BYTES)
    for name in "abcad":
        loads.get(kept, name)
    assert (len(kept), kept.bytes) == (3, 3 * BYTES)
    loads.get(kept, "a")
    loads.get(kept, "c")
    assert loads.names == list("abcd")
    loads.get(kept, "b")
    assert loads.names == list("abcdb")


def test_a_large_model_drops_as_many_as_it_must(loads):
    kept = ModelCache(4 * BYTES)
    for name in "abcd":
        loads.get(kept, name)
    loads.get(kept, "large", 3 * BYTES)
    assert (len(kept), kept.bytes) == (2, 4 * BYTES)
    loads.get(kept, "d")
    assert loads.names == ["a", "b", "c", "d", "large"]


def test_a_model_above_the_budget_is_kept_until_the_next(loads):
    kept = ModelCache(BYTES // 2)
    loads.get(kept, "a")
    assert len(kept) == 1
    loads.get(kept, "b")
    assert len(kept) == 1
    loads.get(kept, "b")
    assert loads.names == ["a", "b"]


def test_what_is_dropped_leaves_the_memory(loads):
    kept = ModelCache(BYTES)
    gone = weakref.ref(loads.get(kept, "a"))
    loads.get(kept, "b")
    gc.collect()
    assert gone() is None


def test_a_traced_model_with_a_hash_leaves_the_memory_too(monkeypatch):
    monkeypatch.setattr(model_cache, "MODELS", ModelCache(1))
    model = model_cache.MODELS.get("a", None, lambda: load_model("resnet18", weights="random"))
    model.plan()
    model_cache._weight_hash(model)
    gone = weakref.ref(model)
    del model
    model_cache.MODELS.get("b", None, network)
    assert gone() is None


def test_a_model_in_use_is_found_again_although_it_was_dropped(loads):
    kept = ModelCache(BYTES)
    in_use = loads.get(kept, "a")
    loads.get(kept, "b")
    assert loads.get(kept, "a") is in_use
    assert loads.names == ["a", "b"]


def test_a_changed_file_is_loaded_anew_and_the_old_model_goes(tmp_path, loads):
    file = tmp_path / "net.py"
    file.write_text("")
    kept = ModelCache(9 * BYTES)
    source = f"{file}:make"
    first = loads.get(kept, source)
    assert loads.get(kept, source) is first
    os.utime(file, (1, 1))
    assert loads.get(kept, source) is not first
    assert len(kept) == 1


def test_a_model_that_cannot_be_loaded_leaves_nothing_behind():
    kept = ModelCache(BYTES)

    def fail() -> Model:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        kept.get("a", None, fail)
    assert len(kept) == 0


def test_the_budget_is_what_the_environment_says_else_a_quarter_of_the_memory(monkeypatch):
    monkeypatch.setenv("LURK_MEMORY", "3")
    assert model_cache._budget_bytes() == 3 << 20
    monkeypatch.delenv("LURK_MEMORY")
    monkeypatch.setattr(model_cache, "memory_bytes", lambda: 400)
    assert model_cache._budget_bytes() == 100


def test_a_change_of_an_imported_file_loads_the_model_once_more(tmp_path):
    (tmp_path / "net.py").write_text("from beside import net\ndef make():\n    return net()\n")
    (tmp_path / "beside.py").write_text("from torch import nn\ndef net():\n    return nn.Conv2d(3, 2, 3)\n")
    source, kept = f"{tmp_path}/net.py:make", ModelCache(10 * BYTES)
    first = kept.get(source, None, lambda: load_model(source, input_shape=(3, 8, 8)))
    assert kept.get(source, None, lambda: pytest.fail("loaded again")) is first
    os.utime(tmp_path / "beside.py", (1, 1))
    second = kept.get(source, None, lambda: load_model(source, input_shape=(3, 8, 8)))
    assert second is not first
    assert kept.get(source, None, lambda: pytest.fail("loaded again")) is second
    activate(tmp_path)
