"""What `Model.doctor` returns."""

from dataclasses import dataclass

from lurk.records import counted


@dataclass(frozen=True)
class Trial:
    """One other preprocessing, compared with the model's own on the same images.

    Args:
        name: What it does, after "with".
        images: On how many images it was tried; fewer than all if it was clearly no better.
        right: For how many of them the network is right.
        own_right: For how many of them it is right with the model's own preprocessing.
        gain: How much higher the logarithm of the right class's probability is, on average.
        p: The smallest one-sided p-value of three paired tests, times the number of all tests, three for each other
            preprocessing: the sign test of right and wrong (McNemar), and the signed-rank tests of that gain and of
            the gain of the right class's standardised score.
    """

    name: str
    images: int
    right: int
    own_right: int
    gain: float
    p: float


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What was found out about a model on some images.

    Args:
        images: Number of images it was examined on.
        labelled: How many of them have a class that is an output of the network.
        right: For how many of those the network is right; None without any.
        matched: How classes and outputs were matched, in a sentence.
        trials: Other preprocessings that were tried, the best first.
        misfit: Shift and factor by which the inputs of the first batch normalisation differ from its running statistics
            (see `input_statistics`); None without one.
        warnings: What looks wrong, a sentence each; empty if nothing does.
        notes: What else was found out.
    """

    images: int
    labelled: int
    right: int | None
    matched: str
    trials: tuple[Trial, ...] = ()
    misfit: tuple[float, float] | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """In a line, on how many images the preprocessing was checked and with what result."""
        right = "" if self.right is None else f", right for {self.right} of {self.labelled} labelled ones"
        result = "it does not look right" if self.warnings else "nothing looks wrong"
        return f"the preprocessing was checked on {counted(self.images, 'image')}{right}: {result}"

    def __repr__(self) -> str:
        """The findings, a line each."""
        lines = [f"examined on {counted(self.images, 'image')}; {self.matched}"]
        if self.right is not None:
            lines.append(f"right for {self.right} of {self.labelled} labelled images")
        if self.misfit is not None:
            shift, factor = self.misfit
            lines.append(
                f"first batch normalisation: mean off by {shift:.2f} deviations, deviation by a factor {factor:.2f}"
            )
        lines += [
            f"  with {trial.name}: {trial.right} of {trial.images} (own: {trial.own_right}), p = {trial.p:.2g}"
            for trial in self.trials
            if trial.images == self.labelled
        ]
        lines += [*self.notes, *(f"wrong: {warning}" for warning in self.warnings)]
        return "\n".join([*lines, *(["nothing looks wrong"] if not self.warnings else [])])
