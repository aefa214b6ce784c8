"""Torchlurk: see what each unit of a trained PyTorch vision network has learned.

The public Python API. Each name is imported on first use, so that a process that runs no model does not load torch.

>>> import lurk
>>> model = lurk.load_model("resnet18")  # doctest: +SKIP
>>> images = lurk.load_images("path/to/folder")  # doctest: +SKIP
>>> index = lurk.sweep(model, images, top=9, cache="cache")  # doctest: +SKIP
>>> unit = index.unit("layer1.0.conv1", 12)  # doctest: +SKIP
>>> unit.hits_max[0].score  # doctest: +SKIP
3.25
>>> lurk.visualize(model, "layer1.0.conv1", [12, 13]).shape  # doctest: +SKIP
(2, 3, 224, 224)
>>> lurk.attribute(model, images.read(0), "layer1.0.conv1", 12, method="deconvnet").shape  # doctest: +SKIP
(3, 224, 224)
>>> page = lurk.serve(index, port=5001, block=False)  # doctest: +SKIP
>>> page.stop()  # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING

from lurk.records import VERSION

if TYPE_CHECKING:
    from lurk.errors import LurkError as LurkError
    from lurk.images.load_images import load_images as load_images
    from lurk.library.index import Index as Index
    from lurk.library.layer import Layer as Layer
    from lurk.library.sweep import sweep as sweep
    from lurk.library.unit import Unit as Unit
    from lurk.methods.run_method import attribute as attribute
    from lurk.methods.run_method import visualize as visualize
    from lurk.models.load_model import load_model as load_model
    from lurk.models.model import Model as Model
    from lurk.models.preprocess import Preprocess as Preprocess
    from lurk.records import Hit as Hit
    from lurk.records import LayerInfo as LayerInfo
    from lurk.records import UnitRecord as UnitRecord
    from lurk.web.server.in_process import serve as serve

__version__ = VERSION

_HOMES = {
    "Hit": "lurk.records",
    "Index": "lurk.library.index",
    "Layer": "lurk.library.layer",
    "LayerInfo": "lurk.records",
    "LurkError": "lurk.errors",
    "Model": "lurk.models.model",
    "Preprocess": "lurk.models.preprocess",
    "Unit": "lurk.library.unit",
    "UnitRecord": "lurk.records",
    "attribute": "lurk.methods.run_method",
    "load_images": "lurk.images.load_images",
    "load_model": "lurk.models.load_model",
    "serve": "lurk.web.server.in_process",
    "sweep": "lurk.library.sweep",
    "visualize": "lurk.methods.run_method",
}
__all__ = list(_HOMES)


if not TYPE_CHECKING:  # a type checker would take any name for one of the module's

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'lurk' has no attribute {name!r}")
        return getattr(importlib.import_module(_HOMES[name]), name)
