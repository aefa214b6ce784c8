"""Triton's kernel where the contract does not reach: half precision, and that it compiles for real GPUs."""

import os
import subprocess
import sys

import pytest
import torch

from tests.sweeps.kernels.reference import READINGS, assert_equal, reference, values_of
from tests.sweeps.kernels.test_measure import some_places, triton_measure

pytest.importorskip("triton")
COMPILE = """
import itertools
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from lurk.sweeps.kernels.triton_bins import _count
from lurk.sweeps.kernels.triton_maps import WARPS, _measure

POINTERS = dict(places="*i64", floats="*fp32", doubles="*fp64", counts="*i32", drawn="*i16")
SCORES = ("low", "high", "lower", "upper")
LAYOUTS = {  # the sizes 1 that Triton takes for constants, and the tile
    "row-major": dict(position_stride=1, block=1, tile=1024),
    "channels last": dict(channel_stride=1, block=32, tile=32),
    "one position": dict(positions=1, channel_stride=1, position_stride=1, block=32, tile=1),
    "one channel": dict(channels=1, channel_stride=1, position_stride=1, block=1, tile=64),
}
for values, constants in itertools.product(("*fp32", "*fp16", "*bf16"), LAYOUTS.values()):
    kinds = {name: "fp32" if name in SCORES else "i32" for name in _measure.arg_names}
    kinds |= POINTERS | {"values": values} | dict.fromkeys(constants, "constexpr")
    at = {(_measure.arg_names.index(name),): [["tt.divisibility", 16]] for name in ("values", *POINTERS)}
    source = ASTSource(_measure, kinds, constants, at)
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": WARPS})
    assert ".f64" in compiled.asm["ptx"] and ".ftz" not in compiled.asm["ptx"]
kinds = dict(numbers="*i16", counts="*i32", top="*i32", channels="i32", total="i32", samples="i32", tile="constexpr")
triton.compile(ASTSource(_count, kinds, {"tile": 1024}), target=GPUTarget("cuda", 90, 32))
print("compiled")
"""


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_as_the_numbers_that_it_stands_for(dtype):
    values, reading = values_of("signed", (2, 3, 50)).to(dtype), READINGS["relu6"]
    expected = reference(values.float(), reading, some_places(values))
    assert_equal(triton_measure(values, reading, some_places(values)), expected)


def test_without_sampled_positions_nothing_is_drawn():
    values = values_of("tied")
    found = triton_measure(values, READINGS["relu"], torch.zeros(3, 0, dtype=torch.int64))
    assert found.drawn.shape == (3, 5, 0)
    assert torch.equal(found.maximum, values.amax(2))


def test_a_tile_has_the_positions_or_channels_that_are_side_by_side_in_memory():
    from lurk.sweeps.kernels.triton_maps import _tile

    assert _tile(64, 12544, 12544) == (1, 1024)
    assert _tile(64, 12544, 1) == (32, 32)
    assert _tile(512, 49, 49) == (16, 64)
    assert _tile(1000, 1, 1) == (32, 1)
    assert _tile(3, 7, 7) == (4, 8)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Triton compiles on Linux")
def test_it_compiles_for_a_gpu_and_keeps_the_smallest_numbers(tmp_path):
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "compiled\n", done.stderr[-2000:]
