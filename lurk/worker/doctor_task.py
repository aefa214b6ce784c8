"""Examines a study before its sweep: whether the preprocessing and the class names are those of the network."""

from collections.abc import Callable
from pathlib import Path

from lurk.config.options import Settings
from lurk.errors import Cancelled, LurkError
from lurk.graph.device import choose_device, moved_to
from lurk.images.image_set import ImageSet
from lurk.models.doctor.examine import examine_model
from lurk.models.model import Model
from lurk.storage.diagnosis import read_diagnosis, write_diagnosis, write_failure
from lurk.storage.manifest import read_manifest
from lurk.sweeps.image_reader import USER_ERRORS


def examine_study(
    model: Model, images: ImageSet, settings: Settings, folder: Path, report: Callable[[int, int], None]
) -> tuple[str, ...]:
    """Examine a study, unless that has been done, and store what looks wrong with it.

    Args:
        model: The model.
        images: The image set.
        settings: The layers and the device.
        folder: Folder of the index.
        report: Called with the images done and in all; it may raise Cancelled.

    Returns:
        What looks wrong, a sentence each. A failure is no reason to stop the sweep; the study's notes tell it.
    """
    swept = read_manifest(folder).provenance
    known = read_diagnosis(folder, swept)
    if known is not None:
        return known
    try:
        with moved_to(model.module, choose_device(settings.device)):
            found = examine_model(model, images, layers=settings.layers, report=report)
    except Cancelled:
        raise
    except (LurkError, *USER_ERRORS) as error:
        write_failure(folder, (str(error).strip().splitlines() or [type(error).__name__])[0])
        return ()
    write_diagnosis(folder, swept, found.warnings, repr(found), found.summary)
    return found.warnings
