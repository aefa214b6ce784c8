"""Image classifiers that Hugging Face's transformers saved in a folder of this machine: `hf/PATH`.

Nothing is downloaded, no code of the folder runs, and every weight of the network must be in the folder.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from lurk.config.weights_name import is_weights_file
from lurk.errors import ModelError, WeightsError
from lurk.models.architecture import architecture_hash
from lurk.models.checkpoint import fill
from lurk.models.sources import PRETRAINED, SOURCES, UNTRAINED, Network, with_file

PREFIX = "hf/"
SEED = 0
NAMELESS = re.compile(r"LABEL_\d+")


class HuggingFace:
    """Networks that transformers builds from a folder."""

    def accepts(self, source: str) -> bool:
        """Whether `--model` names a folder for it."""
        return source.startswith(PREFIX)

    def names(self) -> Iterable[str]:
        """None: the folders are the user's."""
        return ()

    def build(self, source: str, weights: str | None) -> Network:
        """Build the network of a folder with its own weights (None or `DEFAULT`), `random` ones, or those of a file."""
        folder = Path(source.removeprefix(PREFIX)).expanduser()
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"--model {source!r}: {str(folder)!r} is no folder with a config.json; hf/PATH takes a folder that "
                "save_pretrained() wrote, nothing is downloaded"
            )
        is_random = weights is not None and weights.lower() == "random"
        is_own = weights is None or weights.upper() == "DEFAULT"
        if not is_own and not is_random and not is_weights_file(weights or ""):
            raise WeightsError(
                f"{source} has no weights {weights!r}; --weights takes DEFAULT, random or a weights file"
            )
        module = _module(source, folder, trained=is_own)
        config = module.config
        network = Network(
            module,
            f"{PREFIX}{folder.resolve().name}#{architecture_hash(module)}",
            folder.resolve().name,
            _preprocess(source, folder),
            _classes(getattr(config, "id2label", None)),
            PRETRAINED if is_own else UNTRAINED,
        )
        if is_random:
            notice = f"{source} has random weights, as asked for: its units have learned nothing"
            return replace(network, notice=notice)
        return network if weights is None or is_own else with_file(network, fill(module, weights))


@dataclass(frozen=True)
class Processed:
    """A picture as an image processor of transformers makes it."""

    processor: object

    def __call__(self, picture: Image.Image) -> Tensor:
        """Preprocess a picture: float32 (c, h, w)."""
        given = self.processor(images=picture.convert("RGB"), return_tensors="pt")  # type: ignore[operator]  # a processor
        values: Tensor = given["pixel_values"][0]
        return values


def _module(source: str, folder: Path, *, trained: bool) -> nn.Module:
    try:
        from transformers import AutoConfig, AutoModelForImageClassification
    except ImportError as error:
        raise ModelError(
            f"--model {PREFIX}… needs the package transformers ({error}); run: pip install transformers"
        ) from error
    known = {"local_files_only": True, "trust_remote_code": False}
    with torch.random.fork_rng(devices=[]), _silent():
        torch.manual_seed(SEED)
        try:
            if not trained:
                config = AutoConfig.from_pretrained(folder, **known)
                build: Callable[..., nn.Module] = AutoModelForImageClassification.from_config
                return build(config, trust_remote_code=False)
            module, report = AutoModelForImageClassification.from_pretrained(folder, output_loading_info=True, **known)
        except Exception as error:  # transformers raises many kinds of errors for a folder that it cannot use
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise ModelError(f"--model {source!r}: transformers cannot build an image classifier: {reason}") from error
    lacking = sorted(str(name) for name in (*report["missing_keys"], *report["mismatched_keys"]))
    if lacking:
        raise WeightsError(
            f"--model {source!r}: the folder lacks weights that fit {', '.join(lacking[:3])}"
            f"{f' and {len(lacking) - 3} more' if len(lacking) > 3 else ''}; transformers would make them up"
        )
    found: nn.Module = module
    return found


@contextmanager
def _silent() -> Iterator[None]:
    """Keep transformers from printing its report of a load, which is told in one line here."""
    from transformers.utils import logging as its_logging

    level = its_logging.get_verbosity()
    its_logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        its_logging.set_verbosity(level)


def _preprocess(source: str, folder: Path) -> Processed:
    from transformers import AutoImageProcessor

    try:
        load: Callable[..., object] = AutoImageProcessor.from_pretrained
        return Processed(load(folder, local_files_only=True, trust_remote_code=False))
    except Exception as error:  # as above
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"--model {source!r}: the folder has no image processor that transformers can read ({reason}); save it "
            "there with save_pretrained()"
        ) from error


def _classes(names: object) -> tuple[str, ...] | None:
    """Class names by number; None where transformers made them up."""
    if not isinstance(names, Mapping) or not names:
        return None
    ordered = [str(names[number]) for number in sorted(names, key=int)]
    return None if all(NAMELESS.fullmatch(name) for name in ordered) else tuple(ordered)


SOURCES.register("hugging_face")(HuggingFace())
