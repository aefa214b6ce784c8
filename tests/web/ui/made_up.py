"""A made-up network, its classes and its photographs, for the fake service."""

import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from lurk.records import LayerInfo

NAMES = (
    "tench|great white shark|hammerhead|cock|goldfinch|snowbird, junco|bald eagle|tree frog|loggerhead|iguana"
    "|triceratops|tarantula|peacock|toucan|flamingo|king penguin|basenji|Siamese cat|snow leopard"
    "|<b>ladybug</b> & friends|monarch"
    "|sea urchin|African elephant|giant panda|accordion|aircraft carrier|ambulance|barn|beacon, lighthouse"
    "|bookcase|castle|dome|fire engine|golf ball|hot air balloon, seen from below and afar|jeep|monastery|pier"
    "|strawberry|volcano"
)
CLASSES = tuple(NAMES.split("|"))
IMAGES, VIEW = 60, 224
RELU6: dict[str, Any] = {"bound": 6.0, "activation": "relu6", "rectified": True}


def layer(name: str, kind: str, units: int, side: int, field_: float | None, jump: float = 1, **more: Any) -> LayerInfo:
    field_size = None if field_ is None else (field_, field_)
    steps = None if field_ is None else (jump, jump)
    offset = None if field_ is None else (-field_ // 2, -field_ // 2)
    shape = (units, side, side) if side > 1 else (units,)
    return LayerInfo(name, kind, units, shape, field_size, steps, "post", offset, (side, side), **more)


LAYERS = [
    layer("conv1", "Conv2d", 64, 112, 7, 2, **RELU6),
    layer("layer1.0.conv1", "Conv2d", 64, 56, 19, 4, **RELU6),
    layer("layer1.0", "BasicBlock", 128, 56, 27, 4, **RELU6),
    layer("layer2.0.conv1", "Conv2d", 512, 28, 51, 8, **RELU6),
    layer(
        "features.7.0.very_long_module_name.block.conv2",
        "Conv2dStaticSamePadding",
        300,
        14,
        99,
        16,
        words="3×3 convolution, depthwise",
        **RELU6,
    ),
    layer("layer4.1.conv2", "Conv2d", 2048, 7, None, **RELU6),
    layer("fc", "Linear", 40, 1, None, class_scores=True),
]


@lru_cache(maxsize=IMAGES)
def picture(number: int) -> Image.Image:
    """A generated photograph: sky, ground and some things, different for each number."""
    rng = np.random.default_rng(number)
    rows = np.linspace(0, 1, VIEW)[:, None, None]
    top, bottom = rng.integers(40, 250, 3), rng.integers(0, 160, 3)
    field_ = (1 - rows) * top + rows * bottom + rng.normal(0, 8, (VIEW, VIEW, 1))
    image = Image.fromarray(np.broadcast_to(field_, (VIEW, VIEW, 3)).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(4, 12))):
        x, y, size = (int(value) for value in rng.integers(0, VIEW, 3) * (1, 1, 0.5))
        colour = tuple(int(value) for value in rng.integers(0, 255, 3))
        getattr(draw, str(rng.choice(["ellipse", "rectangle"])))([x, y, x + size, y + size], fill=colour)
    return image


def webp(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=82, method=0)
    return file.getvalue()
