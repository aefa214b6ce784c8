"""How a sweep is run: what its index depends on, and what makes it fast."""

from dataclasses import dataclass

import torch

from lurk.graph.device import choose_device
from lurk.sweeps.image_store import ImageStore

CPU_BATCH, GPU_BATCH = 16, 128


@dataclass(frozen=True)
class SweepOptions:
    """The options of `sweep`, with the same names and defaults; and where preprocessed images are kept."""

    top: int = 9
    layers: str | None = None
    batch_size: int | None = None
    workers: int | None = None
    device: str = "auto"
    store: ImageStore | None = None

    def place(self) -> torch.device:
        """The device that the model runs on."""
        return choose_device(self.device)

    def images_a_batch(self) -> int:
        """The batch size; by default 16 on a CPU and 128 on a GPU."""
        return self.batch_size or (CPU_BATCH if self.place().type == "cpu" else GPU_BATCH)
