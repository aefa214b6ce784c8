"""Which output of a network is which class of an image set: the only place that matches the two."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lurk.images.wordnet_ids import WORDNET_IDS

SHOWN = 3
IMAGENET_ENDS = ("tench", "toilet")
WORDNET_ID = re.compile(r"(n\d{8})(?!\d)")
NUMBER = re.compile(r"\d{1,9}(\.0+)?")
LEADING = re.compile(r"(n\d{8}|\d+)[\W_]+(?=\w)")


@dataclass(frozen=True)
class ClassMatch:
    """Which output of a network belongs to each class of an image set.

    Args:
        outputs: Number of the output, for each class of the set; None for a class that matches none.
        how: `name`, `WordNet id`, `number`, `number from 1`, `order`, or empty if nothing matches. `order` is an
            assumption: the outputs have no names, and there are as many as classes.
        note: What was matched and how, and what was not, in a sentence.
    """

    outputs: tuple[int | None, ...]
    how: str
    note: str


def match_classes(
    classes: Sequence[str], used: Collection[int | None], names: Sequence[str] | None, outputs: int
) -> ClassMatch:
    """Match the classes of an image set with the outputs of a network.

    They are matched by name (whatever the case, with `_` for a space, by any synonym), by WordNet id, or by number;
    the way that matches most classes is taken. If the outputs have no names, and there is one for each class, they
    are taken in the order in which torchvision's `ImageFolder` counts folders.

    Args:
        classes: Names of the set's classes.
        used: Numbers of the classes that have images, as in the set's labels.
        names: Names of the outputs; None if they are not known.
        outputs: How many outputs there are.

    Returns:
        The match; never a guess between two outputs.
    """
    wanted = {number: classes[number] for number in sorted({label for label in used if label is not None})}
    base = _base(wanted, outputs)
    ways = (
        ("name", _by_name(wanted, names or ())),
        ("WordNet id", _by_wordnet_id(wanted, names, outputs)),
        ("number from 1" if base else "number", _by_number(wanted, base)),
        ("order", _by_order(wanted, classes, names, outputs)),
    )
    how, found = max(ways, key=lambda way: len(way[1]))
    taken = Counter(found.values())
    found = {number: output for number, output in found.items() if taken[output] == 1}
    if not found:
        how = ""
    matched = tuple(found.get(number) for number in range(len(classes)))
    return ClassMatch(matched, how, _note(how, wanted, found, names))


def _base(wanted: Mapping[int, str], outputs: int) -> int | None:
    """Number of the first class, 0 or 1, if the classes are numbers that fit the outputs; else None.

    Only when a class has the number of outputs, and none is 0, do they count from 1.
    """
    if not wanted or not all(NUMBER.fullmatch(name) for name in wanted.values()):
        return None
    numbers = [int(float(name)) for name in wanted.values()]
    if max(numbers) < outputs:
        return 0
    return 1 if max(numbers) == outputs and min(numbers) > 0 else None


def _by_number(wanted: Mapping[int, str], base: int | None) -> dict[int, int]:
    if base is None:
        return {}
    return {number: int(float(name)) - base for number, name in wanted.items()}


def _by_wordnet_id(wanted: Mapping[int, str], names: Sequence[str] | None, outputs: int) -> dict[int, int]:
    """By the id at the beginning of a name, for a network with ImageNet's 1,000 classes in their usual order."""
    is_imagenet = outputs == len(WORDNET_IDS) and (
        not names or all(word in name.lower() for word, name in zip(IMAGENET_ENDS, (names[0], names[-1]), strict=True))
    )
    place = {name: output for output, name in enumerate(WORDNET_IDS)} if is_imagenet else {}
    ids = {number: WORDNET_ID.match(name) for number, name in wanted.items()}
    return {number: place[found[1]] for number, found in ids.items() if found and found[1] in place}


def _by_order(
    wanted: Mapping[int, str], classes: Sequence[str], names: Sequence[str] | None, outputs: int
) -> dict[int, int]:
    if names or len(classes) != outputs or all(NUMBER.fullmatch(name) for name in wanted.values()):
        return {}
    place = {name: output for output, name in enumerate(sorted(classes))}
    return {number: place[name] for number, name in wanted.items()}


def _by_name(wanted: Mapping[int, str], names: Sequence[str]) -> dict[int, int]:
    """By the name, else its first synonym, else any synonym; a class that fits two outputs alike fits none."""
    tables: tuple[dict[str, set[int]], ...] = ({}, {}, {}, {})
    for output, name in enumerate(names):
        for table, forms in zip(tables, _forms(name), strict=True):
            for form in forms:
                table.setdefault(form, set()).add(output)
    found: dict[int, int] = {}
    for number, name in wanted.items():
        tries = [
            {output for form in forms for output in table.get(form, ())} for forms in _forms(name) for table in tables
        ]
        hits: set[int] = next((hits for hits in tries if hits), set())
        if len(hits) == 1:
            found[number] = hits.pop()
    return found


def _forms(name: str) -> tuple[tuple[str, ...], ...]:
    """A name as it is compared: as it is; without case and signs, with and without a leading number; its synonyms."""
    bare = LEADING.sub("", name, count=1) if LEADING.match(name) else name
    synonyms = [_plain(part) for part in re.split("[,;/|]", bare)]
    synonyms = [part for part in synonyms if part]
    whole = tuple(part for part in dict.fromkeys((_plain(name), _plain(bare))) if part)
    return (f"={name}",), whole, tuple(synonyms[:1]), tuple(synonyms)


def _plain(name: str) -> str:
    """A name without case, accents' spelling, and signs."""
    return re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()


def _note(how: str, wanted: Mapping[int, str], found: Mapping[int, int], names: Sequence[str] | None) -> str:
    if not wanted:
        return "the image set has no classes to match with the network's outputs"
    missing = [name for number, name in wanted.items() if number not in found]
    listed = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else "")
    if not found:
        return f"no class could be matched with an output of the network: {listed}"
    words = f"{len(found)} of {len(wanted)} classes matched with the network's outputs by {how}"
    if how == "order":
        words += ", as ImageFolder counts them (an assumption: the outputs have no names)"
    if how.startswith("number"):
        number, output = next(iter(found.items()))
        words += f": class {wanted[number]} is output {output}" + (f", {names[output]}" if names else "")
        if list(wanted.values()) != sorted(wanted.values()):
            words += " (ImageFolder counts 10 before 2: a network trained with it needs its class names)"
    return words + (f"; not matched: {listed}" if missing else "")
