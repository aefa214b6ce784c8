"""What the doctor found wrong with a study, stored as a result of its index. Torch-free."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lurk.records import Provenance
from lurk.storage.results import read_result, write_result

VERSION = 1


def _provenance(swept: Provenance) -> Provenance:
    return replace(swept, method="doctor", method_version=VERSION, parameters=())


def write_diagnosis(index: Path, swept: Provenance, warnings: Sequence[str], report: str) -> None:
    """Store what the doctor found.

    Args:
        index: Folder of the index.
        swept: Provenance of the index.
        warnings: What looks wrong, a sentence each.
        report: All that was found out, in lines.
    """
    write_result(index, _provenance(swept), {"warnings": list(warnings), "report": report}, {})


def read_diagnosis(index: Path, swept: Provenance) -> tuple[str, ...] | None:
    """What looks wrong with a study, a sentence each; None if it has not been examined.

    Args:
        index: Folder of the index.
        swept: Provenance of the index.

    Returns:
        The warnings.
    """
    found = read_result(index, _provenance(swept).key)
    warnings = found.figures.get("warnings") if found else None
    return tuple(str(one) for one in warnings) if isinstance(warnings, list) else None
