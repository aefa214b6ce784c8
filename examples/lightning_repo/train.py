"""Trains the network with Lightning: python -m examples.lightning_repo.train [FOLDER]; writes FOLDER/last.ckpt.

Then: python app.py --model examples/lightning_repo/net.py:make --weights lightning/last.ckpt
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytorch_lightning as lightning
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from examples.lightning_repo.net import SIDE, Net, preprocess


class Task(lightning.LightningModule):
    """What is learned; the checkpoint's keys therefore begin with `net.`, which lurk finds out."""

    def __init__(self, rate: float = 0.01) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = Net()
        self.loss = nn.CrossEntropyLoss(weight=torch.ones(3))

    def training_step(self, batch: list[torch.Tensor], _number: int) -> torch.Tensor:
        """The loss of a batch."""
        images, labels = batch
        return self.loss(self.net(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), self.hparams["rate"])


def picture(label: int, generator: np.random.Generator) -> Image.Image:
    """Stripes or dots of a random period and phase."""
    row, col = np.indices((SIDE, SIDE)) + generator.integers(0, 16, 2)[:, None, None]
    period = generator.integers(4, 9)
    rows, cols = row % period < period // 2, col % period < period // 2
    values = (rows, cols, rows & cols)[label]
    return Image.fromarray((values * 255).astype(np.uint8)).convert("RGB")


def main(folder: Path) -> Path:
    """Train for a few passes and return the checkpoint's path."""
    lightning.seed_everything(0, verbose=False)
    generator = np.random.default_rng(0)
    labels = torch.arange(300) % 3
    images = torch.stack([preprocess(picture(int(label), generator)) for label in labels])
    loader = DataLoader(TensorDataset(images, labels), batch_size=30, shuffle=True)
    trainer = lightning.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    task = Task()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers of the loader
        trainer.fit(task, loader)
    folder.mkdir(parents=True, exist_ok=True)
    trainer.save_checkpoint(folder / "last.ckpt")
    print(folder / "last.ckpt")
    return folder / "last.ckpt"


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "lightning"))
