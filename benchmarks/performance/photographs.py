"""The images of all comparisons: JPEG files in folders of their classes, and the plain way to read them."""

import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

import lurk

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import DataLoader
    from torchvision.transforms import Compose


def link_photographs(source: str, most: int, folder: Path, cache: Path) -> str:
    """Fill a folder with links to JPEG files, taken evenly from an image set; say what they are like."""
    images = lurk.load_images(source, cache=cache)
    files = [images.file(number) for number in range(len(images))]
    files = [file for file in files if file is not None and file.suffix.lower() in (".jpg", ".jpeg")]
    count, sizes = min(most, len(files)), []
    if not count:
        raise SystemExit(f"--data {source}: there is no JPEG file among these images")
    for number in range(count):
        file = files[number * len(files) // count]
        link = folder / file.parent.name / f"{number:04d}.jpg"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file.resolve())
        with Image.open(file) as picture:
            sizes.append(picture.size)
    width, height = (statistics.median(size[at] for size in sizes) for at in (0, 1))
    return f"JPEG files of {width:.0f} × {height:.0f} pixels (medians)"


def some_of(folder: Path, most: int) -> Path:
    """A folder like the given one and beside it, with some of its files, taken evenly."""
    below = folder.with_name(f"{folder.name}-{most}")
    if not below.is_dir():
        link_some(folder, most, below)
    return below


def link_some(source: Path, most: int, folder: Path) -> int:
    """Fill a folder with links to files of another one, evenly, in sub-folders of the same names; return how many."""
    files = sorted(file for file in source.glob("*/*") if file.is_file())
    count = min(most, len(files))
    for number in range(count):
        file = files[number * len(files) // count]
        link = folder / file.parent.name / file.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file.resolve())
    return count


def transform() -> "Compose":
    """The preprocessing that torchvision's networks were trained with."""
    from torchvision import transforms

    return transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )


def loader(folder: Path, batch_size: int) -> "DataLoader[tuple[Tensor, Tensor]]":
    """Batches as people read them: torchvision's folder and all defaults of torch's loader."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    return DataLoader(ImageFolder(str(folder), transform()), batch_size=batch_size)
