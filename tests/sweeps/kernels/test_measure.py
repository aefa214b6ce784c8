"""Each kernel against the slow reference."""

import math
import sys
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
import torch

import lurk.sweeps.kernels
from lurk.sweeps.kernels import (
    measure,
    numba_bins,
    numba_classes,
    numba_lists,
    numba_maps,
    torch_bins,
    torch_classes,
    torch_lists,
    torch_maps,
)
from lurk.sweeps.kernels.maps import LARGEST, Maps, Reading
from tests.sweeps.kernels.reference import (
    FIELDS,
    KINDS,
    ORDERS,
    READINGS,
    SHAPES,
    assert_equal,
    laid_out,
    reference,
    values_of,
)

GPU = torch.cuda.is_available()


def triton_measure(values, reading, places):
    """Triton's kernel, on a GPU if there is one; without one `tests/conftest.py` has Triton interpret it."""
    from lurk.sweeps.kernels import triton_maps

    with np.errstate(invalid="ignore", over="ignore"):  # the interpreter computes with NumPy
        found = triton_maps.measure(values.cuda() if GPU else values, reading, places)
    return Maps(*(getattr(found, name).cpu() for name in FIELDS))


KERNELS = {"torch": torch_maps.measure, "numba": numba_maps.measure} | (
    {"triton": triton_measure} if find_spec("triton") else {}
)
every_kernel = pytest.mark.parametrize("measure", KERNELS.values(), ids=KERNELS)


def some_places(values):
    """Seven sampled positions of each image, int64 (n, 7), not in order."""
    drawn = torch.randint(0, values.shape[2], (len(values), 7), generator=torch.Generator().manual_seed(3))
    return torch.cat([drawn[:, 1:], torch.zeros(len(values), 1, dtype=torch.int64)], 1)


@every_kernel
@pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_equals_the_references(measure, kind, reading):
    values = values_of(kind)
    assert_equal(measure(values, reading, some_places(values)), reference(values, reading, some_places(values)))


@every_kernel
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_shape_and_strides_are_measured_right(measure, shape, order):
    values, reading = values_of("tied", shape), READINGS["relu6"]
    found = measure(laid_out(values, order), reading, some_places(values))
    assert_equal(found, reference(values, reading, some_places(values)))


@every_kernel
@pytest.mark.parametrize("order", ORDERS)
def test_an_image_is_measured_alike_to_the_last_bit_in_any_batch(measure, order):
    values = values_of("far from zero", (5, 6, 300))
    places, reading = some_places(values), Reading()
    whole = measure(laid_out(values, order), reading, places)
    for image in range(5):
        one = slice(image, image + 1)
        alone = measure(laid_out(values[one], order), reading, places[one])
        for name in ("maximum", "position", "lowest", "value_mean", "mean", "squares", "drawn"):
            assert torch.equal(getattr(whole, name)[one], getattr(alone, name)), name


@every_kernel
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS)
@pytest.mark.parametrize("at", [0, 7, 19])
def test_nan_and_infinity_are_lowest_and_highest_values_and_seen_in_the_mean(measure, at, reading, order):
    values = torch.zeros(1, 5, 20)
    values[0, 0, at], values[0, 1, at], values[0, 2, at] = math.nan, math.inf, -math.inf
    values[0, 3] = math.nan
    found = measure(laid_out(values, order), reading, torch.zeros(1, 1, dtype=torch.int64))
    assert found.maximum.tolist() == [[0.0, np.float32(LARGEST), 0.0, -np.float32(LARGEST), 0.0]]
    assert found.position.tolist() == [[1 if at == 0 else 0, at, 1 if at == 0 else 0, 0, 0]]
    assert found.lowest.tolist() == [[-math.inf, -math.inf, -math.inf, -np.float32(LARGEST), 0.0]]
    assert torch.isfinite(found.value_mean).all()
    cut = [math.isfinite(reading.high), math.isfinite(reading.low)]
    assert torch.isfinite(found.mean).tolist() == [[False, *cut, False, True]]
    assert torch.isfinite(found.squares).tolist() == [[False, *cut, False, True]]


def test_a_gpu_without_triton_measures_with_pytorch_and_says_so_once(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "lurk.sweeps.kernels.triton_maps", None)
    monkeypatch.setattr(measure, "_gpu_kernels", cache(measure._gpu_kernels.__wrapped__))
    kernels = [measure._gpu_kernels(torch.device("cuda:0")) for _ in range(2)]
    assert [each[:2] for each in kernels] == 2 * [(torch_maps.measure, torch_bins.count)]
    assert [record.getMessage() for record in caplog.records] == ["no Triton kernel"]


def test_work_that_is_shared_among_threads_gives_the_same(monkeypatch):
    values = values_of("far from zero", (3, 40, 700))
    places = some_places(values)
    expected = numba_maps.measure(values, Reading(), places)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    found = numba_maps.measure(values, Reading(), places)
    for name in ("maximum", "position", "lowest", "value_mean", "mean", "squares", "drawn"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name


def test_without_numba_a_cpu_measures_with_pytorch_and_says_so_once(monkeypatch, caplog):
    monkeypatch.delattr(lurk.sweeps.kernels, "numba_maps")
    monkeypatch.setitem(sys.modules, "lurk.sweeps.kernels.numba_maps", None)
    monkeypatch.setattr(measure, "_cpu_kernels", cache(measure._cpu_kernels.__wrapped__))
    kernels = torch_maps.measure, torch_bins.count, torch_lists.offer, torch_classes.add
    assert [measure._cpu_kernels() for _ in range(2)] == [kernels] * 2
    assert [record.getMessage() for record in caplog.records] == ["no numba kernel"]


def test_with_numba_compiled_kernels_are_taken():
    kernels = numba_maps.measure, numba_bins.count, numba_lists.offer, numba_classes.add
    assert measure._cpu_kernels() == kernels
