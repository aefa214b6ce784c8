"""How well a network knows the classes of images.

Axes: n images, y classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lurk.graph.device import device_of
from lurk.graph.partial_forward import PartialForward
from lurk.models.model import Model

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
BATCH = 16
LOWEST = -100.0  # of the logarithm of a probability


@dataclass(frozen=True)
class Scores:
    """How well each image is known.

    Args:
        targets: int64 (n,), the right classes.
        right: bool (n,), whether the right class has the highest score.
        log_probability: float64 (n,), of the right class.
        standardised: float64 (n,), score of the right class less the mean of all, divided by their deviation. Unlike
            the probability it does not grow with the scale of the scores.
    """

    targets: Ints
    right: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    log_probability: Floats
    standardised: Floats


def joined(parts: Sequence[Scores]) -> Scores:
    """The scores of several images, one after the other."""
    return Scores(
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.log_probability for part in parts]),
        np.concatenate([part.standardised for part in parts]),
    )


def run(model: Model, reach: PartialForward, inputs: list[Tensor]) -> Floats:
    """Run a network on preprocessed images.

    Args:
        model: The model.
        reach: Its forward pass to the end.
        inputs: float32 (c, h, w) each.

    Returns:
        float64 (n, y), its scores of classes; logarithms if it gives probabilities. What is not finite is the lowest.
    """
    found = []
    with torch.no_grad():
        for at in range(0, len(inputs), BATCH):
            batch = torch.stack(inputs[at : at + BATCH]).to(device_of(model.module), model.dtype)
            found.append(reach(batch).class_scores.detach().double().cpu().numpy())
    scores: Floats = np.concatenate(found)
    if (scores >= 0).all() and np.allclose(scores.sum(1), 1, atol=1e-3):
        scores = np.log(np.maximum(scores, np.exp(LOWEST)))
    return np.nan_to_num(scores, nan=LOWEST, posinf=LOWEST, neginf=LOWEST)


def score(logits: Floats, targets: Ints) -> Scores:
    """Score answers.

    Args:
        logits: float64 (n, y).
        targets: int64 (n,), the right classes.

    Returns:
        The scores of each image.
    """
    at = np.arange(len(targets))
    least = logits - logits.max(1, keepdims=True)
    log_probability = (least - np.log(np.exp(least).sum(1, keepdims=True)))[at, targets]
    spread = np.maximum(logits.std(1), 1e-12)
    return Scores(
        targets,
        logits.argmax(1) == targets,
        np.maximum(log_probability, LOWEST),
        (logits[at, targets] - logits.mean(1)) / spread,
    )
