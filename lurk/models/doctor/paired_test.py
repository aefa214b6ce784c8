"""An exact paired test: the signed-rank test of Wilcoxon, with ties and zeros as they are."""

from math import comb

import numpy as np

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def signed_rank(differences: Floats) -> float:
    """Probability of differences at least as much above 0, if each were as likely below 0 as above.

    The differences are ranked by size, equal ones with the mean of their ranks; the sum of the ranks above 0 is
    compared with its exact distribution over all choices of signs. Differences of 0 are left out.

    >>> signed_rank(np.array([1.0, 2.0, 3.0]))
    0.125

    Args:
        differences: float64 (n,), of pairs.

    Returns:
        The one-sided p-value; 1 if there is no difference.
    """
    used = differences[differences != 0]
    if not len(used):
        return 1.0
    _, group, counts = np.unique(np.abs(used), return_inverse=True, return_counts=True)
    twice = (2 * np.cumsum(counts) - counts + 1)[group]  # int (n,), twice the rank: a whole number also for ties
    ways = np.zeros(int(twice.sum()) + 1)
    ways[0] = 1.0
    for rank in twice:
        ways[rank:] = (ways[rank:] + ways[: len(ways) - rank]) / 2
        ways[:rank] /= 2
    return float(min(1.0, ways[int(twice[used > 0].sum()) :].sum()))


def sign_test(better: int, worse: int) -> float:
    """Probability of so many pairs or more that are better, if better and worse were equally likely (McNemar, exact).

    >>> sign_test(3, 0)
    0.125

    Args:
        better: Number of pairs that are better.
        worse: Number of pairs that are worse.

    Returns:
        The one-sided p-value.
    """
    total = better + worse
    return float(sum(comb(total, count) for count in range(better, total + 1)) / 2**total)
