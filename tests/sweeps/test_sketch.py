from dataclasses import replace

import numpy as np
import pytest
import torch

from lurk.storage.quantile_bins import BINS, SIDE, bin_edges, quantiles
from lurk.sweeps.kernels.maps import bin_numbers
from lurk.sweeps.sketch import LEAST_SAMPLES, SAMPLES, Sketch, sampled_places, sampled_positions
from tests.sweeps.batches import make_batch

SCALES = torch.tensor([1e-9, 1e-3, 1.0, 30.0, 1e6, 1.0])


def draw(rows: int, seed: int = 0) -> torch.Tensor:
    values = torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed)) * SCALES
    values[:, 5].clamp_(min=0)
    return values


def add(sketch: Sketch, *values: torch.Tensor) -> None:
    """Add a batch of which each layer gives values (p, c)."""
    batch = make_batch(torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64))
    sketch.add(replace(batch, drawn=tuple(bin_numbers(layer).T[None] for layer in values)))


@pytest.mark.parametrize("unit", range(6))
def test_quantiles_are_near_numpys(unit):
    values = draw(40_000)
    sketch = Sketch(6)
    add(sketch, values)
    probabilities = [0.01, 0.25, 0.5, 0.75, 0.99, 0.995]
    found = quantiles(sketch.counts[unit].numpy(), int(sketch.top[unit]), probabilities)
    exact = np.quantile(values[:, unit].double().numpy(), probabilities)
    spread = float(values[:, unit].std())
    np.testing.assert_allclose(found, exact, rtol=0.03, atol=0.01 * spread)


def test_any_order_of_adding_and_merging_gives_the_same_counts():
    values = draw(8_000) * torch.logspace(-6, 6, 8_000)[:, None]
    whole = Sketch(6)
    add(whole, values)
    pieces = [values[i::7] for i in range(7)]
    for order in (range(7), reversed(range(7)), [3, 1, 6, 0, 2, 5, 4]):
        merged = Sketch(6)
        for place in order:
            part = Sketch(6)
            for rows in pieces[place].split(100):
                add(part, rows)
            merged.merge(part.state())
        assert torch.equal(merged.counts, whole.counts)
        assert torch.equal(merged.top, whole.top)


def test_values_far_below_the_largest_count_as_zero_and_none_is_lost():
    sketch = Sketch(1)
    add(sketch, torch.full((10, 1), 1e-20))
    add(sketch, torch.full((3, 1), 1e9))
    assert sketch.counts.sum() == 13
    assert quantiles(sketch.counts[0].numpy(), int(sketch.top[0]), [0.2]) == [0.0]


def test_a_unit_that_is_always_zero_has_quantile_zero():
    sketch = Sketch(2)
    add(sketch, torch.zeros(5, 2))
    assert quantiles(sketch.counts[1].numpy(), int(sketch.top[1]), [0.0, 0.5, 1.0]) == [0.0, 0.0, 0.0]


def test_nothing_counted_gives_nan():
    sketch = Sketch(1)
    assert np.isnan(quantiles(sketch.counts[0].numpy(), int(sketch.top[0]), [0.5])[0])


def test_a_value_lies_inside_the_edges_of_its_bin():
    for value in (1e-30, 0.1, 1.0, 5.9999, 6.0, -6.0, 3e38):
        sketch = Sketch(1)
        add(sketch, torch.tensor([[value]]))
        place = int(sketch.counts[0].argmax())
        edges = bin_edges(int(sketch.top[0]))
        assert len(edges) == BINS + 1
        assert edges[place] <= np.float32(value) <= edges[place + 1]
        assert abs(edges[place + 1] - edges[place]) <= 0.0626 * abs(value)


def test_each_layers_values_are_counted_for_its_own_units():
    sketch = Sketch(8)
    add(sketch, torch.zeros(3, 2), draw(50))
    assert sketch.counts[:2].sum() == 6
    assert (sketch.counts[:2, SIDE] == 3).all()
    assert (sketch.counts[2:].sum(1) == 50).all()


def test_samples_are_spread_and_differ_between_images():
    drawn = sampled_places(torch.tensor([0, 1, 2]), 100, 10)
    assert (drawn.diff(dim=1) == 10).all()
    assert len(set(drawn[:, 0].tolist())) == 3
    assert torch.equal(drawn[1:2], sampled_places(torch.tensor([1]), 100, 10))


def test_few_positions_are_all_taken():
    assert sampled_places(torch.tensor([5, 6]), 49, 49).tolist() == [list(range(49))] * 2


@pytest.mark.parametrize(
    ("positions", "images", "count"),
    [(49, 10, 49), (12544, 1, 12544), (12544, 1024, 64), (12544, 10**6, LEAST_SAMPLES), (12544, 64, SAMPLES // 64)],
)
def test_number_of_samples_follows_the_size_of_the_set(positions, images, count):
    assert sampled_positions(positions, images) == count
