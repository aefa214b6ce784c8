"""Says in one line why the tensors of a file are not the weights of a network."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lurk.models.weights.saved_tensor import Shape

MOST_LETTERS, MOST_NAME_LETTERS = 300, 44
ADVICE = "; --model is to be the network that was saved, such as FILE.py:FACTORY makes it"
NOT_WHOLE = {
    r"(^|\.)_?flat_param(_\d+)?(\.|$)": "holds flat parameters of FSDP; save a full state dict, with a name for each "
    "weight",
    r"(^|\.)(single_partition_of_fp32_groups|fp32_(flat_)?groups)(\.|$)": "holds parts of a state that DeepSpeed "
    "divided; run its zero_to_fp32.py",
}
PART_OF_SEVERAL = re.compile(r"-\d{5}-of-\d{5}\.")


@dataclass(frozen=True)
class Misfit:
    """What keeps the tensors at a place from being a network's weights; false if nothing does.

    Args:
        missing: Names of the network that are not there.
        foreign: Names in the file that the network does not have.
        shapes: Shape in the file of each of the network's weights that has another one.
    """

    missing: Sequence[str]
    foreign: Sequence[str]
    shapes: Mapping[str, Shape]

    def __bool__(self) -> bool:
        return bool(self.missing or self.foreign or self.shapes)

    @property
    def size(self) -> int:
        """How many tensors do not fit."""
        return len(self.missing) + len(self.foreign) + len(self.shapes)

    def describe(self, file: str, place: str, wanted: Mapping[str, Shape]) -> str:
        """Say what differs.

        Args:
            file: Name of the file.
            place: Where in the file the tensors are; empty for the file itself.
            wanted: Names and shapes of the network's weights.

        Returns:
            One line of at most 300 letters.
        """
        where = f"; nearest is `{cut(place)}`: it" if place else ": it"
        for most in (3, 2, 1):
            if self.missing or self.foreign:
                parts = [f"lacks {some(self.missing, most)}"] * bool(self.missing)
                parts += [f"has {some(self.foreign, most)} too many"] * bool(self.foreign)
                line = f"--weights: {cut(file)} is of another network than --model{where} {' and '.join(parts)}"
            else:
                line = f"--weights: {cut(file)} does not fit --model: {self._differing(wanted, most)}"
            if len(line) <= MOST_LETTERS:
                break
        return line + ADVICE if self.missing and len(line + ADVICE) <= MOST_LETTERS else line

    def _differing(self, wanted: Mapping[str, Shape], most: int) -> str:
        """Say which shapes differ; if only those of the classifier do, in numbers of classes."""
        first, part = next(iter(self.shapes)), list(wanted)[-1].rpartition(".")[0] + "."
        is_classifier = set(self.shapes) == {name for name in wanted if name.startswith(part)}
        counts = {shape[:1] for shape in self.shapes.values()}
        if is_classifier and len(counts) == 1 and all(s[1:] == wanted[name][1:] for name, s in self.shapes.items()):
            return (
                f"it was trained for {self.shapes[first][0]} classes, the model has {wanted[first][0]}; "
                "build the network with as many in a factory, --model FILE.py:FACTORY"
            )
        pairs = [f"{cut(name)} is {shape}, not {wanted[name]}" for name, shape in list(self.shapes.items())[:most]]
        more = len(self.shapes) - most
        return "; ".join(pairs) + (f"; and {more} more" if more > 0 else "")


def why_not_whole(file: str, tensors: Mapping[str, Shape]) -> str:
    """Say that a file holds only a part of a network's weights, or holds them without their names.

    Args:
        file: Name of the file.
        tensors: Name and shape of each tensor in it.

    Returns:
        The reason, in a line; empty if none is known.
    """
    if PART_OF_SEVERAL.search(file):
        return f"--weights: {cut(file)} is one of several files; name their index, which ends in .index.json"
    if tensors and all(0 in shape for shape in tensors.values()):
        return f"--weights: {cut(file)} holds tensors without values, as DeepSpeed writes them; run its zero_to_fp32.py"
    found = (why for sign, why in NOT_WHOLE.items() if any(re.search(sign, name) for name in tensors))
    return next((f"--weights: {cut(file)} {why}" for why in found), "")


def some(names: Sequence[str], most: int = 3) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - most
    return ", ".join(map(cut, names[:most])) + (f" and {more} more" if more > 0 else "")


def cut(name: str) -> str:
    """A name; a long one without its middle."""
    half = MOST_NAME_LETTERS // 2
    return name if len(name) <= MOST_NAME_LETTERS else f"{name[:half]}…{name[-half:]}"
