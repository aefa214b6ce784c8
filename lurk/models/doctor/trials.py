"""Tries other preprocessings on labelled images, side by side with the model's own.

Variants that are no better on the first images are dropped.
"""

import time
from collections.abc import Callable, Iterator, Sequence

from PIL import Image

from lurk.graph.partial_forward import PartialForward
from lurk.models.doctor.diagnosis import Trial
from lurk.models.doctor.paired_test import sign_test, signed_rank
from lurk.models.doctor.scores import Scores, joined, run, score
from lurk.models.doctor.variants import Variant, prepare
from lurk.models.model import Model

DROPPED = {10: 0.7, 20: 0.5, 40: 0.2}  # after so many images, the p-value above which a variant is dropped
LEAST_IMAGES, BUDGET_S = 20, 120.0
LEVEL, TESTS = 0.01, 3
LEAST_GAIN = 0.05  # of the logarithm of the right class's probability

Pictures = Iterator[Image.Image]


def try_all(
    model: Model,
    reach: PartialForward,
    chosen: Sequence[Variant],
    pictures: Pictures,
    own: Scores,
    report: Callable[[int, int], None],
) -> list[Trial]:
    """Try variants, picture after picture, for two minutes of processor time at most.

    Args:
        model: The model.
        reach: Its forward pass to the end.
        chosen: The variants.
        pictures: The pictures, in order.
        own: The scores of all pictures with the model's own preprocessing.
        report: Called with the pictures done and in all.

    Returns:
        What was found of each variant, the best first.
    """
    began, alive = time.process_time(), list(range(len(chosen)))
    found: list[list[Scores]] = [[] for _ in chosen]  # of one picture each: all logits would fill the memory
    for number, picture in enumerate(pictures):
        answers = run(model, reach, prepare([chosen[at] for at in alive], picture))
        for at, answer in zip(alive, answers, strict=True):
            found[at].append(score(answer[None], own.targets[number : number + 1]))
        report(number + 1, len(own.right))
        if number + 1 in DROPPED:
            alive = [at for at in alive if _chance(own, joined(found[at])) <= DROPPED[number + 1]]
        if not alive or (number + 1 >= LEAST_IMAGES and time.process_time() - began > BUDGET_S):
            break
    kept = [(one, joined(scores)) for one, scores in zip(chosen, found, strict=True) if scores]
    trials = [_trial(one, other, own, len(chosen)) for one, other in kept]
    return sorted(trials, key=lambda trial: (trial.p, -trial.gain))


def _chance(own: Scores, other: Scores) -> float:
    """Smallest one-sided p-value of three paired tests: of right and wrong, of probability, of standardised score."""
    own_right, right = own.right[: len(other.right)], other.right
    return min(
        sign_test(int((right & ~own_right).sum()), int((own_right & ~right).sum())),
        signed_rank(other.log_probability - own.log_probability[: len(right)]),
        signed_rank(other.standardised - own.standardised[: len(right)]),
    )


def _trial(variant: Variant, other: Scores, own: Scores, tried: int) -> Trial:
    count = len(other.right)
    return Trial(
        variant.name,
        count,
        int(other.right.sum()),
        int(own.right[:count].sum()),
        float((other.log_probability - own.log_probability[:count]).mean()),
        min(1.0, TESTS * tried * _chance(own, other)),
    )


def clearly_better(trials: Sequence[Trial]) -> Trial | None:
    """The variant that is right for more images, with the largest gain of those with p < 0.01; None if none is."""
    better = [one for one in trials if one.p < LEVEL and one.gain >= LEAST_GAIN and one.right > one.own_right]
    return max(better, key=lambda one: one.gain, default=None)
