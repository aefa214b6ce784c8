import torch

from lurk.sweeps.hits import key_before, key_scores, rank_keys


def test_rank_keys_order_all_float32_magnitudes():
    numbers = torch.tensor([-torch.inf, -3e38, -1.0, -1e-40, 0.0, 1e-45, 1e-20, 1.0, 3e38, torch.inf])
    scores, before = numbers.repeat_interleave(10), numbers.repeat(10)
    keys = rank_keys(scores, before)
    assert (keys[1:] > keys[:-1]).all()
    assert torch.equal(key_scores(keys), scores)
    assert torch.equal(key_before(keys), before)
    without = rank_keys(numbers, torch.full_like(numbers, torch.nan))
    assert torch.equal(key_scores(without), numbers)
    assert key_before(without).isnan().all()
