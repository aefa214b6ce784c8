"""What is said of a unit, on the page and in a notebook."""

from lurk.records import UnitRecord

BADGES = {
    "dead": ("dead", "never above 0 on any image"),
    "always_on": ("always on", "above 0 nearly everywhere, on every image"),
    "saturated": ("saturated", "mostly at the upper bound of its activation"),
}
SENTENCES = {
    "dead": "Dead: it was never above 0, so nothing here excites it.",
    "always_on": "Always on: it is above 0 nearly everywhere, whatever the image.",
    "saturated": "Saturated: where it is active, it is mostly at its upper bound.",
}


def facts(record: UnitRecord) -> list[tuple[str, str]]:
    """The figures of a unit's distribution, each as what it is and its value."""
    found = [
        ("above 0", f"{record.fraction_positive:.1%}".replace("%", " %")),
        ("mean", f"{record.mean:.3g}"),
        ("deviation", f"{record.std:.3g}"),
    ]
    if 0.99 in record.quantiles:
        found.append(("99 % are below", f"{record.quantiles[0.99]:.3g}"))
    return found
