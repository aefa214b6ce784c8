"""What the doctor found wrong with a study, stored as a result of its index, or why it failed. Torch-free."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from lurk.records import Provenance
from lurk.storage.atomic_files import write_file
from lurk.storage.results import read_result, write_result

VERSION, FAILURE = 1, "doctor-failed.txt"


def _provenance(swept: Provenance) -> Provenance:
    return replace(swept, method="doctor", method_version=VERSION, parameters=())


def write_diagnosis(index: Path, swept: Provenance, warnings: Sequence[str], report: str, summary: str) -> None:
    """Store what the doctor found.

    Args:
        index: Folder of the index.
        swept: Provenance of the index.
        warnings: What looks wrong, a sentence each.
        report: All that was found out, in lines.
        summary: All that was found out, in one line.
    """
    write_result(index, _provenance(swept), {"warnings": list(warnings), "report": report, "summary": summary}, {})
    (index / FAILURE).unlink(missing_ok=True)


def write_failure(index: Path, reason: str) -> None:
    """Store why a study could not be examined; it is tried again at the next start."""
    write_file(index / FAILURE, f"the preprocessing could not be checked: {reason}")


def read_summary(index: Path, swept: Provenance) -> str:
    """What the doctor found in one line, or why it failed; empty if the study has not been examined."""
    found = read_result(index, _provenance(swept).key)
    if found is not None:
        return str(found.figures.get("summary", ""))
    with suppress(OSError, UnicodeDecodeError):
        return (index / FAILURE).read_text()
    return ""


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
