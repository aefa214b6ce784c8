"""A sweep cut into shards for several workers; `merging` makes of them the index of one worker. It knows no queue.

A shard is a range of whole batches, and a batch is the unit of determinism: the same floating-point operations are made
however a sweep is cut. Each shard leaves its reducers' states in a folder of its own, with checkpoints of its own, and
that folder alone says how far it is. So a worker that is lost costs what its shard did since its last checkpoint.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from lurk.errors import IndexFormatError, LurkError
from lurk.graph.device import choose_device
from lurk.images.image_set import ImageSet
from lurk.models.model import Model
from lurk.storage.index_writer import write_shard
from lurk.storage.manifest import Manifest, read_manifest, shard_folder
from lurk.sweeps.loop import run_through
from lurk.sweeps.sweep import describe

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


@dataclass(frozen=True)
class Options:
    """How a sweep in shards is run; as the arguments of `sweep`."""

    top: int = 9
    layers: str | None = None
    batch_size: int | None = None
    workers: int | None = None
    device: str = "auto"


def cut(images: int, batch_size: int, shards: int) -> list[Shard]:
    """Cut an image set into ranges of whole batches.

    Args:
        images: How many images.
        batch_size: Images a forward pass.
        shards: How many ranges; fewer where there are fewer batches.

    Returns:
        The shards, in order; their sizes differ by a batch at most.
    """
    batches = -(-images // batch_size)
    count = max(1, min(shards, batches))
    ends = [min(batches * number // count * batch_size, images) for number in range(count + 1)]
    return [Shard(first, last, batch_size) for first, last in pairwise(ends)]


def is_done(index: Path, shard: Shard) -> bool:
    """Whether a shard is through, or its index is."""
    return is_complete(index) or is_complete(shard_folder(index, shard.name))


def is_complete(folder: Path) -> bool:
    """Whether what lies in a folder, an index or a shard, is through."""
    try:
        return read_manifest(folder).complete
    except IndexFormatError:
        return False


def sweep_shard(
    model: Model, images: ImageSet, index: Path, shard: Shard, options: Options, progress: Report = lambda _done: None
) -> None:
    """Run a shard's images through the model, from its last checkpoint on.

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
    plan = model.plan(options.layers)
    manifest = describe(model, images, plan, top=options.top, layers=options.layers)
    if manifest.provenance.key != index.name:
        raise LurkError(f"this worker cannot help with the sweep: {_difference(index, manifest)}")
    with write_shard(index, shard.name, replace(manifest, done=shard.first)) as writer:
        if not is_done(index, shard):
            span, place = range(shard.first, shard.last), choose_device(options.device)

            def told(done: int, _total: int, _rate: float) -> None:
                progress(done - shard.first)

            run_through(
                writer,
                model,
                images,
                place,
                batch_size=shard.batch_size,
                workers=options.workers,
                progress=told,
                span=span,
            )


def _difference(index: Path, manifest: Manifest) -> str:
    """What differs between an index and what is here, in words."""
    theirs, mine = read_manifest(index).provenance, manifest.provenance
    names = [name for name in vars(mine) if getattr(theirs, name) != getattr(mine, name)]
    here = "; ".join(f"its {name.replace('_', ' ')} is {getattr(mine, name)}" for name in names)
    there = "; ".join(f"{getattr(theirs, name)}" for name in names)
    return f"{here}, where the sweep began with {there}; use the same files and versions on every machine"
