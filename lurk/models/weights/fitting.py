"""Chooses the place in a file from which a network takes its weights: the only one at which all of them are."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor, nn

from lurk.errors import WeightsError
from lurk.models.weights.misfit import Misfit, cut, some, why_not_whole
from lurk.models.weights.search import DERIVED, WRAPPERS, Candidate, Rename, canonical, flatten, search
from lurk.models.weights.torch_file import naming_damage

AVERAGED = re.compile(r"(?:^|[._])(?:ema|swa|averaged?)(?![a-z])", re.IGNORECASE)
BESIDE = re.compile(
    r"(?:^|[._])(?:loss|criteri|metric|ema|optim|sched|scaler|teacher|momentum|queue|aux|mask_token|decoder_pos|logit_scale"
    r"|logit_bias|(?:class|pos|label)_weight)",
    re.IGNORECASE,
)
OF_TRAINING = re.compile(
    r"(?:^|[._])(?:optim(?:izer)?s?(?:_state(?:_dict)?)?|exp_avg(?:_sq)?|momentum_buffer|grads?)(?:\.|$)"
)


class Fitting:
    """A network and the tensors of a file.

    Args:
        module: The network.
        tree: What the file holds.
        file: Name of the file.
        rename: Gives the module's name for a name in the file, and None for a weight that the module does not need.
    """

    def __init__(self, module: nn.Module, tree: object, file: str, rename: Rename | None = None) -> None:
        self.file = file
        state = {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}
        clean = canonical if len({canonical(name) for name in state}) == len(state) else str
        self.full_names = {clean(name): name for name in state}
        self.shapes = {clean(name): tuple(value.shape) for name, value in state.items()}
        self.shared = {clean(name): clean(first) for name, first in _shared(module).items()}
        self.cleaned: set[str] = set()

        def name(full: str) -> str | None:
            if clean(full) != full:
                self.cleaned.update(word for word in full.split(".") if word in WRAPPERS)
            return (rename or str)(clean(full))

        self.found = flatten(tree, name)
        places = search(self.found, self.shapes)
        self.candidates = [candidate for candidate in places if not OF_TRAINING.search(candidate.place)]

    def misfit(self, candidate: Candidate) -> Misfit:
        """What keeps the tensors at a place from being the network's weights."""
        own = {name for name in self.shapes if not DERIVED.search(name)}
        names = {name: self.found[source] for name, source in candidate.names.items() if name in own}
        shapes = {name: tensor.shape for name, tensor in names.items() if tensor.shape != self.shapes[name]}
        there = set(map(self._first, names))
        missing = [name for name in self.shapes if name in own and self._first(name) not in there]
        return Misfit(missing, list(self._foreign(candidate)), shapes)

    def _first(self, name: str) -> str:
        """The first name of a weight that the network has under several."""
        return self.shared.get(name, name)

    def _foreign(self, candidate: Candidate) -> Iterator[str]:
        """Tensors at a place that belong to a part which the network has, and are not the network's."""
        parts = {name.removeprefix(candidate.own).partition(".")[0] for name in self.shapes}
        for name, rest in self._unused(candidate):
            first, dot, _ = rest.partition(".")
            is_inside = not dot or first in parts or (first.isdigit() and any(part.isdigit() for part in parts))
            if is_inside and not DERIVED.search(rest) and not BESIDE.search(first):
                yield name

    def _unused(self, candidate: Candidate) -> Iterator[tuple[str, str]]:
        """Name of each tensor at a place that is not taken, with what follows the place in it."""
        start, used = candidate.place + "." if candidate.place else "", set(candidate.names.values())
        yield from ((name, name[len(start) :]) for name in self.found if name.startswith(start) and name not in used)

    @cached_property
    def _places(self) -> list[list[Candidate]]:
        """The places at which all weights of the network are; those that hold the same values are together."""
        places: list[list[Candidate]] = []
        needed = len({self._first(name) for name in self.shapes if not DERIVED.search(name)})
        full = [candidate for candidate in self.candidates if len(candidate.names) >= needed]
        for candidate in sorted(full, key=lambda one: (one.place.count("."), bool(one.place), one.own)):
            if self.misfit(candidate):
                continue
            same = next((equal for equal in places if self._is_equal(candidate, equal[0])), None)
            if same is None:
                places.append([candidate])
            else:
                same.append(candidate)
        return places

    @cached_property
    def fits(self) -> list[Candidate]:
        """The places at which all weights of the network are; of those that hold the same values, the first."""
        return [equal[0] for equal in self._places]

    def _is_equal(self, one: Candidate, two: Candidate) -> bool:
        pairs = [(self.found[one.names[name]], self.found[two.names[name]]) for name in one.names if name in two.names]
        if all(a.identity == b.identity for a, b in pairs):
            return True
        with naming_damage(self.file):
            return not any(a.form or b.form for a, b in pairs) and all(
                torch.equal(a.load(), b.load()) for a, b in pairs
            )

    def choose(self, part: str) -> Candidate:
        """The place to take.

        Args:
            part: The part of the file that the user asked for; empty for the only one that fits.

        Returns:
            The place.

        Raises:
            WeightsError: No place fits, or several do and none was asked for; the message says which.
        """
        fits = _at(part, self.fits)
        averaged = [candidate for candidate in fits if AVERAGED.search(candidate.place)]
        if len(fits) == 1:
            return fits[0]
        if len(fits) == 2 and len(averaged) == 1:
            return averaged[0]
        known = ", ".join(f"`{cut(candidate.place or '.')}`" for candidate in self.fits[:2])
        flag = (
            f", such as {self._flag(self.fits[0])}" if self.fits and len(self.fits[0].place) < 60 else " as FILE:PART"
        )
        more = f" and {len(self.fits) - 2} more" if len(self.fits) > 2 else ""
        if fits:
            raise WeightsError(
                f"--weights: {cut(self.file)} holds {len(fits)} sets of weights that fit and differ, {known}{more}; "
                f"say which{flag}"
            )
        if self.fits:
            raise WeightsError(
                f"--weights: {cut(self.file)} has no weights of --model at {cut(part)!r}, but at {known}; say "
                f"which{flag}"
            )
        why = why_not_whole(self.file, {name: tensor.shape for name, tensor in self.found.items()})
        raise WeightsError(why or self._nearest(_at(part, self.candidates)))

    def _nearest(self, candidates: list[Candidate]) -> str:
        """Say what differs at the place where most of the network's weights are."""
        if not self.found:
            return f"--weights: {cut(self.file)} holds no weights; save the network's state_dict()"
        if not candidates:
            one, two = next(iter(self.found)) or "one without a name", next(iter(self.shapes), "nothing")
            return (
                f"--weights: {cut(self.file)} is of another network than --model: none of its {len(self.found)} "
                f"tensors has a name of the network's; it has {cut(one)}, the network has {cut(two)}"
            )
        most = sorted(candidates, key=lambda candidate: -len(candidate.names))[:20]
        nearest = min(most, key=lambda candidate: self.misfit(candidate).size)
        return self.misfit(nearest).describe(self.file, nearest.place, self.shapes)

    def load(self, candidate: Candidate) -> dict[str, Tensor]:
        """The weights at a place.

        Args:
            candidate: The place.

        Returns:
            The weights by the network's own names.

        Raises:
            WeightsError: One of them is no plain tensor of real numbers, the file is damaged, or it holds different
                values for names that share one weight.
        """
        chosen = {name: self.found[source] for name, source in candidate.names.items()}
        fitting = {name: tensor for name, tensor in chosen.items() if tensor.shape == self.shapes[name]}
        forms = [name for name, tensor in fitting.items() if tensor.form]
        if forms:
            raise WeightsError(
                f"--weights: {cut(self.file)} holds {some(forms)} in a form that is no plain tensor of real numbers "
                f"({fitting[forms[0]].form})"
            )
        with naming_damage(self.file):
            weights = {name: tensor.load() for name, tensor in fitting.items()}
        for name, value in weights.items():
            first = self._first(name)
            if first != name and first in weights and not torch.equal(value, weights[first]):
                raise WeightsError(
                    f"--weights: {cut(self.file)} holds other values for {cut(name)} than for {cut(first)}, which are "
                    "one weight in --model"
                )
        return {self.full_names[name]: value for name, value in weights.items()}

    def notes(self, candidate: Candidate) -> list[str]:
        """What was taken and what was left; nothing for a file that holds nothing else."""
        used = {name for equal in self._places for taken in equal for name in taken.names.values()}
        left = Counter(_group(name, candidate.place) for name in self.found if name not in used)
        there = [f"`{one.place or '.'}` is there too: {self._flag(one)}" for one in self.fits if one is not candidate]
        equal = next(equal for equal in self._places if equal[0] is candidate)
        same = [
            f"`{one.place}` holds the same"
            for one in equal[1:]
            if set(one.names.values()) - set(candidate.names.values())
        ]
        if not (candidate.place or candidate.own or left or there or self.cleaned):
            return []
        taken = f"took `{candidate.place}`," if candidate.place else "took"
        taken += f" {len(candidate.names)} of {len(self.shapes)} tensors"
        taken += f", as `{candidate.own}` of the network" if candidate.own else ""
        taken += f", without {', '.join(f'`{word}.`' for word in sorted(self.cleaned))}" if self.cleaned else ""
        groups = [f"{count} tensor{'s' * (count > 1)} of `{group}`" for group, count in left.most_common(3)]
        groups += [f"those of {len(left) - 3} others"] if len(left) > 3 else []
        parts = [taken, *same, f"left {', '.join(groups)}" if groups else "", *there]
        return [f"{self.file}: {'; '.join(part for part in parts if part)}"]

    def _flag(self, candidate: Candidate) -> str:
        return f"--weights {cut(self.file)}:{candidate.place or '.'}"

    def unknown_parts(self, candidate: Candidate) -> list[str]:
        """Parts beside the taken weights that the network does not have and that are no tool of the training."""
        rests = [rest for _, rest in self._unused(candidate) if not DERIVED.search(rest)]
        return [part for part in dict.fromkeys(rest.partition(".")[0] for rest in rests) if not BESIDE.search(part)]


def _shared(module: nn.Module) -> dict[str, str]:
    """The first name of each weight that a network has under several names, by its other names."""
    firsts: dict[int, str] = {}
    parts = (*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False))
    names = {name: firsts.setdefault(id(value), name) for name, value in parts}
    return {name: first for name, first in names.items() if name != first}


def _group(name: str, place: str) -> str:
    """What a tensor that was left is called: the part of the file, beside the taken one, that it belongs to."""
    if DERIVED.search(name):
        return name.rpartition(".")[2]
    words, taken = name.split("."), place.split(".") if place else []
    shared = next(
        (n for n, (a, b) in enumerate(zip(words, taken, strict=False)) if a != b), min(len(words), len(taken))
    )
    return ".".join(words[: shared + 1])


def _at(part: str, candidates: list[Candidate]) -> list[Candidate]:
    """The places that a user may mean: the one of that name, else those with it in their name; all for no name."""
    if not part:
        return candidates
    words = "" if part == "." else canonical(part)
    exact = [candidate for candidate in candidates if candidate.place == words]
    return exact or [candidate for candidate in candidates if words and f".{words}." in f".{candidate.place}."]
