"""Whether a network's classes stand in another order than its class names say."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lurk.models.doctor.paired_test import sign_test

Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
LEVEL = 0.01
LEAST_EACH = 2.0  # images a class, so that half of them can tell what the other half is answered


@dataclass(frozen=True)
class OtherOrder:
    """An order of the classes under which the network is right.

    Args:
        name: The order, in words.
        right: For how many images the network is right with it.
        p: Probability of that many by chance, corrected for the number of orders tried.
        targets: int64 (n,), the output that each image should have with it.
    """

    name: str
    right: int
    p: float
    targets: Ints


def find_order(answers: Ints, targets: Ints, outputs: int, names: Sequence[str] | None) -> OtherOrder | None:
    """Find an order of the classes that explains the answers clearly better.

    Args:
        answers: int64 (n,), the output with the highest score for each image.
        targets: int64 (n,), the output that it should have.
        outputs: How many outputs there are.
        names: Names of the outputs; None if they are not known.

    Returns:
        The best order; None if none has at least twice as many answers right with p < 0.01.
    """
    orders = [(name, table[targets]) for name, table in _tables(outputs, names)]
    usual = len(orders)
    if len(targets) >= LEAST_EACH * len(np.unique(targets)):
        orders.append((_learned_name(answers, targets, names), _learned(answers, targets)))
    own, best = answers == targets, None
    for number, (name, moved) in enumerate(orders):
        if number == usual and best is not None:
            break  # a usual order says more than one that was learned from the answers
        other = answers == moved
        right = int(other.sum())
        p = min(1.0, len(orders) * sign_test(int((other & ~own).sum()), int((own & ~other).sum())))
        if p < LEVEL and right >= 2 * own.sum() and (best is None or right > best.right):
            best = OtherOrder(name, right, p, moved)
    return best


def _tables(outputs: int, names: Sequence[str] | None) -> Iterator[tuple[str, Ints]]:
    """The usual other orders: for each output that is meant, the one that it would be."""
    numbers = np.arange(outputs)
    yield "outputs that begin one later, as with a class for the background", np.minimum(numbers + 1, outputs - 1)
    yield "outputs that begin one earlier", np.maximum(numbers - 1, 0)
    as_text = np.array(sorted(range(outputs), key=str))
    yield "class numbers sorted as text, 10 before 2", _places(as_text)
    yield "class numbers sorted as numbers where names were sorted as text", as_text
    if names:
        by_name = np.array(sorted(range(outputs), key=lambda output: names[output].casefold()))
        yield "class names in the order of the alphabet", _places(by_name)
        yield "class names as they are where the outputs are in the order of the alphabet", by_name


def _places(order: Ints) -> Ints:
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return places


def _pairs(answers: Ints, targets: Ints) -> dict[int, int]:
    """For each class the output that it is answered most, no output for two classes: the most frequent pairs first."""
    counts = Counter(zip(targets.tolist(), answers.tolist(), strict=True))
    found: dict[int, int] = {}
    for (target, answer), _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        if target not in found and answer not in found.values():
            found[target] = answer
    return found


def _learned(answers: Ints, targets: Ints) -> Ints:
    """For each image the output that its class has in the half of the images that it is not part of; -1 for none."""
    halves = np.zeros(len(targets), np.int64)
    for target in np.unique(targets):
        places = np.flatnonzero(targets == target)
        halves[places] = np.arange(len(places)) % 2
    moved = np.full(len(targets), -1, np.int64)
    for half in (0, 1):
        pairs = _pairs(answers[halves != half], targets[halves != half])
        for place in np.flatnonzero(halves == half):
            moved[place] = pairs.get(int(targets[place]), -1)
    return moved


def _learned_name(answers: Ints, targets: Ints, names: Sequence[str] | None) -> str:
    def said(output: int) -> str:
        return repr(names[output]) if names else f"output {output}"

    other = [f"{said(t)} is answered as {said(a)}" for t, a in sorted(_pairs(answers, targets).items()) if t != a]
    return "another order: " + ", ".join(other[:3]) + (f" and {len(other) - 3} more" if len(other) > 3 else "")
