"""A model: a network together with its preprocessing, its class names and its layers."""

import copy
import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lurk.errors import ModelError, expect
from lurk.graph.device import choose_device, device_of, dtype_of, moved_to
from lurk.graph.layers import find_layers
from lurk.graph.plan import Plan
from lurk.images.image_files import FileReader
from lurk.models.image_input import other_input
from lurk.models.normalisation import Normalisation
from lurk.models.preprocess import Transform
from lurk.models.tensor_normalisation import TensorSamples, fit, measure, tensor_words
from lurk.records import LayerInfo

if TYPE_CHECKING:
    from lurk.images.image_set import ImageSet
    from lurk.models.doctor.diagnosis import Diagnosis


@dataclass(eq=False)
class Model:
    """A network that can be swept.

    Args:
        module: The network, on the CPU.
        preprocess: Turns a picture into a float32 (c, h, w) tensor.
        classes: Names of the outputs; None if they are not known.
        name: Name on the page.
        weights: `pretrained`, `untrained`, `as the factory made it`, `as given`, or the name of the weights file.
        source: Text that identifies the network in provenance.
        input_shape: (c, h, w) of a preprocessed picture.
        preprocessing: Text that identifies the preprocessing.
        normalisation: What the preprocessing does to colours, as measured.
        notice: A warning that every user must see; empty if there is none.
        file_hash: SHA-256 of the weights file; None if the weights do not come from one file.
        notes: What was understood of what the user gave, a sentence each; nothing that is wrong.
        output: Name or number of the output that holds the class scores; None to find it by the number of classes.
        assumed: The part of the notice that says which preprocessing was assumed, as the network brings none; empty if
            it brings one.
        tensors: What the samples are like of the data set that `for_images` has fitted the model to.
        fingerprint: That of the data set.
        declared: What the model's own preprocessing does to colours, if `for_images` has put another in its place.
    """

    module: nn.Module
    preprocess: Transform
    classes: tuple[str, ...] | None
    name: str
    weights: str
    source: str
    input_shape: tuple[int, int, int]
    preprocessing: str
    normalisation: Normalisation
    notice: str = ""
    file_hash: str | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    output: str | int | None = None
    assumed: str = ""
    tensors: TensorSamples | None = field(default=None, repr=False)
    fingerprint: str = ""
    declared: Normalisation | None = field(default=None, repr=False)
    _plans: dict[object, Plan] = field(default_factory=dict, repr=False, init=False)

    @property
    def full_source(self) -> str:
        """The source as provenance names it: with the output that the user chose, which decides what a class is."""
        return self.source if self.output is None else f"{self.source} --output {self.output}"

    @property
    def weight_hash(self) -> str:
        """SHA-256 of the weights file; without a file, of the weights as they are now (see `hash_weights`)."""
        return self.file_hash or hash_weights(self.module)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the network's floating-point weights, which its input must have as well."""
        return dtype_of(self.module)

    @property
    def mean(self) -> tuple[float, ...] | None:
        """What the preprocessing subtracts, a number for each channel of the input; None if it cannot be undone."""
        return None if self.normalisation.problem else self.normalisation.mean

    @property
    def std(self) -> tuple[float, ...] | None:
        """What the preprocessing then divides by, a number a channel; None if it cannot be undone."""
        return None if self.normalisation.problem else self.normalisation.std

    def normalised(self, pictures: Tensor) -> Tensor:
        """Turn pictures into what the network takes.

        Args:
            pictures: float (..., s, h, w), samples in [0, 1]: s is 3, or 1 where the network is shown grey pictures. If
                the preprocessing cannot be undone, s is c, and 0 and 1 stand for the ends of the input's range.

        Returns:
            float (..., c, h, w), as the preprocessing makes them.
        """
        return self.normalisation.forward(pictures)

    def displayed(self, images: Tensor) -> Tensor:
        """Turn preprocessed images back into pictures: the inverse of `normalised`, clamped to [0, 1].

        Args:
            images: float (..., c, h, w), as the network takes them.

        Returns:
            float (..., s, h, w), in [0, 1].
        """
        return self.normalisation.inverse(images).clamp_(0, 1)

    def for_images(self, images: "ImageSet") -> "Model":
        """The model as it is swept with an image set.

        Args:
            images: The image set.

        Returns:
            The model itself if the set gives pictures. If it gives tensors, which go to the network as they are, a copy
            that shows them by their own normalisation, as measured, and says so in its notes or its notice.
        """
        if isinstance(images.reader, FileReader):
            return self  # a file gives a picture
        if self.tensors is not None and self.fingerprint == images.fingerprint:
            return self
        samples = measure(images.read, len(images))
        return self if samples is None else fitted(self, samples, images.fingerprint)

    def doctor(self, images: object = None, *, device: str = "auto") -> "Diagnosis":
        """Find out whether the preprocessing and the class names are those that the network was trained with.

        Args:
            images: What `load_images` returns, or what it takes; images with classes that the network knows tell most.
                None for the photographs of the demo set, which tell gross mistakes only.
            device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.

        Returns:
            What was found out; `warnings` is empty if nothing looks wrong.
        """
        from lurk.images.load_images import load_images
        from lurk.models.doctor.examine import examine_model

        chosen = load_images("demo" if images is None else images)
        with moved_to(self.module, choose_device(device)):
            return examine_model(self, chosen)

    @cached_property
    def layers(self) -> list[LayerInfo]:
        """The default layers, in execution order."""
        return list(self.plan().layers)

    def plan(self, expression: str | None = None) -> Plan:
        """Analyse the network for its own input size; the last answer is kept until its parts or device change.

        Args:
            expression: Regular expression that narrows or widens the default layers.

        Returns:
            The plan of its layers.

        Raises:
            LayerError: The expression is no regular expression, or nothing is left.
            ModelError: The network does not run on its own input size, has no such output, or takes other inputs.
        """
        if expression is not None:
            expect(expression, str, "layers are given as a regular expression, such as 'layer4'")
        parts = tuple((name, type(part)) for name, part in self.module.named_modules())
        count = None if self.classes is None else len(self.classes)
        key = (expression, self.input_shape, device_of(self.module), self.dtype, parts, count, self.output)
        if key not in self._plans:
            self._plans.clear()
            self._plans[key] = self._planned(expression, count)
        return self._plans[key]

    def _planned(self, expression: str | None, classes: int | None) -> Plan:
        try:
            plan = find_layers(self.module, self.input_shape, expression, classes=classes, output=self.output)
        except ModelError as error:
            if reason := other_input(self.module, self.input_shape):
                raise ModelError(reason) from error
            raise
        if plan.graph is None and (reason := other_input(self.module, self.input_shape, alone=False)):
            raise ModelError(reason)
        return plan


def fitted(model: Model, samples: TensorSamples, fingerprint: str) -> Model:
    """A model that shows the tensors of a data set by their own normalisation.

    Args:
        model: The model.
        samples: What the tensors are like.
        fingerprint: That of the data set.

    Returns:
        A copy with the same network and plans.
    """
    found = fit(samples, model.normalisation)
    words, is_warning = tensor_words(samples, found, model.normalisation, is_assumed=bool(model.assumed))
    notice = model.notice.replace(model.assumed, "") if model.assumed else model.notice
    notice = "; ".join(part for part in (notice.strip("; "), words if is_warning else "") if part)
    copied = copy.copy(model)
    copied.__dict__.pop("layers", None)  # of another input size
    copied.normalisation, copied.declared = found.normalisation, model.normalisation
    copied.tensors, copied.fingerprint, copied.notice = samples, fingerprint, notice
    shown = found.normalisation.problem or found.normalisation.describe()
    copied.preprocessing = f"none, since the data set gives tensors; {shown}"
    copied.notes = model.notes if is_warning else (*model.notes, words)
    if model.assumed and samples.shape is not None:
        copied.input_shape = samples.shape
    return copied


def hash_weights(module: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all parameters and buffers.

    Args:
        module: The network.

    Returns:
        64 hexadecimal digits, the same for equal weights on any device.
    """
    total = hashlib.sha256()
    tensors: dict[str, Tensor] = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        values = tensor.detach().cpu().contiguous().reshape(-1)
        total.update(values.view(torch.uint8).numpy().data)
    return total.hexdigest()
