"""torchvision's data sets by name, read from a folder; nothing is downloaded."""

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path

from lurk.errors import ImagesError
from lurk.images.decoding import DAMAGE
from lurk.images.image_set import ImageSet
from lurk.images.sources import SOURCES
from lurk.images.torch_dataset import from_dataset

TRAIN, TEST, VAL = {"train": False}, {"split": "test"}, {"split": "val"}
OPTIONS: dict[str, Mapping[str, object]] = {
    "CIFAR10": TRAIN,
    "CIFAR100": TRAIN,
    "Caltech101": {},
    "Caltech256": {},
    "Country211": TEST,
    "DTD": TEST,
    "EMNIST": {"split": "balanced", "train": False},
    "EuroSAT": {},
    "FGVCAircraft": TEST,
    "FakeData": {},
    "FashionMNIST": TRAIN,
    "Flowers102": TEST,
    "Food101": TEST,
    "GTSRB": TEST,
    "ImageNet": VAL,
    "Imagenette": VAL,
    "KMNIST": TRAIN,
    "MNIST": TRAIN,
    "OxfordIIITPet": TEST,
    "PCAM": TEST,
    "QMNIST": TRAIN,
    "RenderedSST2": TEST,
    "SEMEION": {},
    "STL10": TEST,
    "SUN397": {},
    "SVHN": TEST,
    "StanfordCars": TEST,
    "USPS": TRAIN,
}
ROOT = "data"


class TorchvisionDataset:
    """Data sets by name: `CIFAR10`, or `CIFAR10:FOLDER`; their test images, if they have a test part."""

    def accepts(self, source: str) -> bool:
        """Whether `--data` names one."""
        return source.partition(":")[0] in OPTIONS

    def names(self) -> Iterable[str]:
        """Their names."""
        return OPTIONS

    def load(self, source: str, cache: Path) -> ImageSet:
        """Open one, in the folder after the `:` of its name, by default `data`."""
        import torchvision

        name, _, folder = source.partition(":")
        root = Path(folder or ROOT).expanduser()
        kind = getattr(torchvision.datasets, name)
        takes = inspect.signature(kind).parameters
        given = {"root": str(root), "download": False, **OPTIONS[name]}
        try:
            dataset = kind(**{option: value for option, value in given.items() if option in takes})
        except (*DAMAGE, ImportError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ImagesError(
                f"--data {source!r}: {name} cannot be opened in {str(root)!r} ({reason}); nothing is downloaded: "
                f"put it there, or say --data {name}:FOLDER"
            ) from error
        return from_dataset(dataset, name)


SOURCES.register("torchvision_dataset")(TorchvisionDataset())
