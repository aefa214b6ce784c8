"""Against every choice of signs, and against scipy."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from lurk.models.doctor.paired_test import sign_test, signed_rank


def by_every_sign(differences: np.ndarray) -> float:
    used = differences[differences != 0]
    ranks = stats.rankdata(np.abs(used))
    sums = [float(np.dot(ranks, signs)) for signs in product((0, 1), repeat=len(used))]
    return float(np.mean(np.array(sums) >= ranks[used > 0].sum() - 1e-9))


@pytest.mark.parametrize(
    "values", [[1.0, 2.0, 3.0], [1, -1, 2, 2, 0, -3, 5], [-1, -2, -3], [0.5] * 8, [4, -4], [0, 0, 1]]
)
def test_the_signed_rank_test_counts_every_choice_of_signs(values):
    differences = np.array(values, np.float64)
    assert signed_rank(differences) == pytest.approx(by_every_sign(differences))


def test_the_signed_rank_test_is_scipys_for_many_pairs():
    differences = np.random.default_rng(0).normal(0.3, 1, 100)
    expected = stats.wilcoxon(differences, alternative="greater", method="exact").pvalue
    assert signed_rank(differences) == pytest.approx(expected, rel=1e-9)


def test_no_difference_proves_nothing():
    assert signed_rank(np.zeros(9)) == 1
    assert sign_test(0, 0) == 1


@pytest.mark.parametrize(("better", "worse"), [(3, 0), (12, 2), (5, 5), (0, 4)])
def test_the_sign_test_is_scipys(better, worse):
    expected = stats.binomtest(better, better + worse, alternative="greater").pvalue
    assert sign_test(better, worse) == pytest.approx(expected)
