"""Whether the doctor names planted mistakes of preprocessing, and is silent where there is none.

python -m benchmarks.preprocessing_doctor [--photos FOLDER] [--only NAME …]

The network is EfficientNet-Lite0 with its real weights; the photographs are those of a folder whose file names begin
with a WordNet id. Six set-ups hold a mistake; six are right, in different words. Prints Markdown, a line a set-up; the
exit status is 1 if a mistake is not named or a right set-up is blamed.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import v2

import lurk
from lurk.images.image_set import ImageSet
from lurk.models.normalisation import IMAGENET_MEAN, IMAGENET_STD
from lurk.models.preprocess import Preprocess

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos"
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
BICUBIC, BILINEAR = transforms.InterpolationMode.BICUBIC, transforms.InterpolationMode.BILINEAR
SIZED = [transforms.Resize(256, BICUBIC), transforms.CenterCrop(224), transforms.ToTensor()]
NORMALIZE = transforms.Normalize(MEAN, STD)
HALF = ("mean 0.5 and deviation 0.5",)
SIZES = ("resized", "stretched")
Transform = Callable[[Image.Image], Tensor]


def chain(*steps: object) -> Transform:
    return transforms.Compose([*SIZED, *steps])


MISTAKES: dict[str, tuple[Transform, tuple[str, ...]]] = {
    "red and blue exchanged": (chain(lambda x: x[[2, 1, 0]], NORMALIZE), ("red and blue exchanged", *HALF)),
    "samples from 0 to 255": (chain(lambda x: x * 255), HALF),
    "no normalisation": (chain(), HALF),
    "normalised twice": (chain(NORMALIZE, NORMALIZE), HALF),
    "ImageNet's mean and deviation": (chain(transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)), HALF),
    "cropped without resizing": (transforms.Compose([*SIZED[1:], NORMALIZE]), SIZES),
}  # fmt: skip
RIGHT: dict[str, Transform] = {
    "the network's own": Preprocess(256, (224, 224), "bicubic", MEAN, STD),
    "torchvision's steps": chain(NORMALIZE),
    "mean and deviation 0.5": chain(transforms.Normalize((0.5,) * 3, (0.5,) * 3)),
    "samples from 0 to 255, less 127, over 128": chain(lambda x: (x * 255 - 127) / 128),
    "bilinear, from v2": v2.Compose(
        [
            v2.ToImage(),
            v2.Resize(256, antialias=True),
            v2.CenterCrop(224),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    ),
    "a little less cut off": transforms.Compose([transforms.Resize(240, BICUBIC), *SIZED[1:], NORMALIZE]),
}


def by_wordnet_id(folder: Path) -> ImageSet:
    """The photographs, the class of each being the WordNet id at the beginning of its name."""
    images = lurk.load_images(folder)
    ids = [path.rpartition("/")[2].partition("_")[0] for path in images.paths]
    classes = tuple(sorted(set(ids)))
    return replace(images, labels=tuple(classes.index(one) for one in ids), classes=classes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    module, images = lurk.load_model("efficientnet_lite0").module, by_wordnet_id(given.photos)
    wrong = 0
    print(
        "| set-up | right, of labelled | best other | p | what the doctor says | seconds |\n|---|---|---|---|---|---|"
    )
    for name, transform, wanted in [
        *((name, transform, wanted) for name, (transform, wanted) in MISTAKES.items()),
        *((name, transform, ()) for name, transform in RIGHT.items()),
    ]:
        if given.only and name not in given.only:
            continue
        classes = lurk.load_model("efficientnet_lite0").classes
        model = lurk.load_model(module, preprocess=transform, classes=classes)
        began = time.monotonic()
        found = model.doctor(images)
        said = "; ".join(found.warnings)
        is_right = any(one in said for one in wanted) if wanted else not said
        wrong += not is_right
        best, kind = found.trials[0], "mistake" if wanted else "right"
        columns = [
            f"{kind}: {name}",
            f"{found.right} of {found.labelled}",
            f"{best.right} of {best.images} with {best.name}",
            f"{best.p:.1g}",
            f"{'' if is_right else '**not as wanted** '}{said or 'nothing'}",
            f"{time.monotonic() - began:.0f}",
        ]
        print(f"| {' | '.join(columns)} |", flush=True)
    print(f"\n{wrong} set-ups not as wanted")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
