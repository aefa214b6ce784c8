"""The parts of a sweep that several workers run, each on its own; `shard_merge` makes one index of them.

A shard is a range of whole batches. The model's numbers for a batch do not depend on how the sweep was cut. Each shard
writes checkpoints into a folder of its own, and that folder alone says how far the shard is. So a worker that is killed
loses what its shard did since its last checkpoint, and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from lurk.errors import IndexFormatError, LurkError
from lurk.images.image_set import ImageSet
from lurk.models.model import Model
from lurk.storage.index_writer import write_shard
from lurk.storage.manifest import Manifest, read_manifest, shard_folder
from lurk.sweeps.sweep import describe
from lurk.sweeps.sweep_loop import run_images
from lurk.sweeps.sweep_options import SweepOptions

Report = Callable[[int], None]


@dataclass(frozen=True)
class Shard:
    """A range of whole batches.

    Args:
        first: Number of its first image.
        last: Number of the image after its last.
        batch_size: Images a forward pass.
    """

    first: int
    last: int
    batch_size: int

    @property
    def name(self) -> str:
        """Name of its folder: another cut is another shard."""
        return f"{self.first}-{self.last}-by-{self.batch_size}"


def cut(images: int, batch_size: int, shards: int) -> list[Shard]:
    """Cut an image set into ranges of whole batches.

    Args:
        images: How many images.
        batch_size: Images a forward pass.
        shards: How many ranges; fewer if there are fewer batches.

    Returns:
        The shards, in order. Their sizes differ by at most one batch.
    """
    batches = -(-images // batch_size)
    count = max(1, min(shards, batches))
    ends = [min(batches * number // count * batch_size, images) for number in range(count + 1)]
    return [Shard(first, last, batch_size) for first, last in pairwise(ends)]


def is_done(index: Path, shard: Shard) -> bool:
    """Whether all images of a shard have been run, or the whole index is finished."""
    return is_complete(index) or is_complete(shard_folder(index, shard.name))


def is_complete(folder: Path) -> bool:
    """Whether the index or shard in a folder is complete."""
    try:
        return read_manifest(folder).complete
    except IndexFormatError:
        return False


def sweep_shard(
    model: Model,
    images: ImageSet,
    index: Path,
    shard: Shard,
    options: SweepOptions,
    progress: Report = lambda _done: None,
) -> None:
    """Run the images of a shard through the model, from the shard's last checkpoint on.

    Args:
        model: The model.
        images: The whole image set.
        index: Folder of the index.
        shard: Which part of it.
        options: The options of the sweep.
        progress: Called after each batch with the images of the shard that are done; it may raise Cancelled.

    Raises:
        BusyError: Another process is sweeping it.
        LurkError: This machine's model, images or software are not those of the index.
    """
    manifest = describe(model, images, options)
    if manifest.provenance.key != index.name:
        raise LurkError(f"this worker cannot help with the sweep: {_difference(index, manifest)}")
    with write_shard(index, shard.name, replace(manifest, done=shard.first)) as writer:
        if not is_done(index, shard):

            def report(done: int, _total: int, _rate: float) -> None:
                progress(done - shard.first)

            run_images(
                writer,
                model,
                images,
                replace(options, batch_size=shard.batch_size),
                progress=report,
                shard=range(shard.first, shard.last),
            )


def _difference(index: Path, manifest: Manifest) -> str:
    """What differs between an index's provenance and that of this machine, in words."""
    theirs, mine = read_manifest(index).provenance, manifest.provenance
    names = [name for name in vars(mine) if getattr(theirs, name) != getattr(mine, name)]
    here = "; ".join(f"its {name.replace('_', ' ')} is {getattr(mine, name)}" for name in names)
    began = "; ".join(f"{getattr(theirs, name)}" for name in names)
    return f"{here}, where the sweep began with {began}; use the same files and versions on every machine"
