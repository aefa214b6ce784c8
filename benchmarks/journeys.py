"""The files of the package that run while an image becomes a tile, a click a picture, a factory a list of layers.

python -m benchmarks.journeys [IMAGE | CLICK | LAYERS …]

It runs each journey on a network of two layers and six images, in one process, and watches every call of a function
with `sys.setprofile`. It prints the files whose functions run, in the order of first calls; with a `*` if a function
takes or returns the image, the request, the picture or the network, in any form.
"""

import dataclasses
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
from PIL import Image

import lurk
from lurk.config.options import Settings
from lurk.sweeps.sweep import run_sweep
from lurk.sweeps.sweep_options import SweepOptions
from lurk.web.server.open_service import open_service
from lurk.web.ui.app import create_app
from lurk.worker.tasks import run
from lurk.worker.worker import Worker

PACKAGE = Path(lurk.__file__).parent
PIXELS = ("Tensor", "ndarray", "memmap", "Image", "PngImageFile", "bytes", "Response")
REQUEST = ("MethodRequest", "JobSpec", "Job", "Entry", "PictureRequest", "Pictures", "Result")
NETWORK = ("Net", "GraphModule", "Network", "Model", "Plan", "Graph", "LayerInfo")
FORMS = {"image": PIXELS, "click": PIXELS + REQUEST, "layers": NETWORK}
NET = """
from torch import nn


class Net(nn.Module):
    input_shape = (3, 32, 32)

    def __init__(self):
        super().__init__()
        self.first, self.second, self.relu = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.ReLU()

    def forward(self, x):
        return self.relu(self.second(self.relu(self.first(x))))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, journey in journeys(Path(folder)).items():
            seen = watch(journey, FORMS[name])
            if not sys.argv[1:] or name in sys.argv[1:]:
                print(f"{name}: {len(seen)} files, {sum(seen.values())} with *")
                print("\n".join(f"  {path} {'*' if carries else ''}" for path, carries in seen.items()))


def journeys(folder: Path) -> dict[str, Callable[[], None]]:
    """The three journeys; each needs those before it."""
    (folder / "net.py").write_text(NET)
    for number in range(6):
        file = folder / "images" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((32, 32, 3), 40 * number, np.uint8)).save(file)
    settings = Settings(
        model=f"{folder}/net.py:Net", data=f"{folder}/images", cache=f"{folder}/cache", name="small", device="cpu"
    )
    service = open_service(settings)
    service.start()
    client, worker = create_app(service).server.test_client(), Worker(service.cache, run)
    model, images = lurk.load_model(settings.model), lurk.load_images(settings.data)
    model.plan()

    def image() -> None:
        index = run_sweep(model, images, cache=settings.cache, options=SweepOptions(device="cpu"))
        with unwatched():
            worker.run_next()
        units = client.get(f"/api/v1/studies/small/layers/{index.layers[0].name}/units")
        assert client.get(units.json["sprites"][0]).status_code == 200

    def click() -> None:
        body = {"kind": "picture", "study": "small", "layer": "first", "unit": 1, "options": {"steps": 2}}
        job = client.post("/api/v1/jobs", json=body).json
        worker.run_next()
        job = client.get(f"/api/v1/jobs/{job['key']}").json
        assert client.get(job["result"]["pictures"][0]["url"]).status_code == 200

    def layers() -> None:
        assert lurk.load_model(settings.model).layers

    return {"image": image, "click": click, "layers": layers}


def watch(journey: Callable[[], None], forms: tuple[str, ...]) -> dict[str, bool]:
    """The files of the package whose functions run, and whether a function takes or returns one of the forms."""
    seen: dict[str, bool] = {}

    def hear(frame: FrameType, event: str, value: object) -> None:
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(str(PACKAGE)) or code.co_name[0] == "<":
            return
        path = str(Path(code.co_filename).relative_to(PACKAGE.parent))
        given = [value] if event == "return" else list(frame.f_locals.values())
        seen[path] = seen.get(path, False) or any(is_form(one, forms) for one in given)

    threading.setprofile(hear)
    sys.setprofile(hear)
    try:
        journey()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return seen


def is_form(value: object, forms: tuple[str, ...], deep: bool = True) -> bool:
    """Whether a value is one of the forms, or holds one directly."""
    if type(value).__name__ in forms:
        return True
    if not deep:
        return False
    held: list[object] = list(value.values()) if isinstance(value, dict) else []
    held += value if isinstance(value, list | tuple) else []
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held += [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return any(is_form(one, forms, deep=False) for one in held)


@contextmanager
def unwatched():
    hear = sys.getprofile()
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.setprofile(hear)


if __name__ == "__main__":
    main()
