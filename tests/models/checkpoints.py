# ruff: noqa: E501 - a table, a checkpoint a line
"""Checkpoints as people's programs write them, each by its real writer: (file name, what writes it)."""

import argparse
import collections
import datetime
import enum
import functools
import json
import logging
import pathlib
import pickle
import re
import uuid
from collections import defaultdict, namedtuple
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Optional

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

State = dict[str, torch.Tensor]
Writer = Callable[[State, Path], None]


class Net(nn.Module):
    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.bn = nn.BatchNorm2d(5)
        self.layer1 = nn.Sequential(nn.Conv2d(5, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 5, 1))
        self.fc = nn.Linear(5, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn(self.conv(x)).relu()
        return self.fc((x + self.layer1(x)).mean((2, 3)))


class Colour(enum.Enum):
    RED = 1


class Config(dict):
    def __getattr__(self, name):
        return self[name]


class Slotted:
    __slots__ = ("rate",)

    def __init__(self):
        self.rate = 0.5


Point = namedtuple("Point", "x y")


class Tracker:
    def __init__(self):
        self.history = [1.0, 2.0]
        self.when = datetime.datetime(2024, 5, 1)

    def update(self):
        return None


class Opener:
    """What runs when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def net(state: State) -> Net:
    made = Net(state["fc.weight"].shape[0])
    made.load_state_dict(state)
    return made


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: value for name, value in state.items()}


def other(state: State) -> State:
    return {name: value + 1 for name, value in state.items()}


def trained_once(state: State) -> tuple[nn.Module, torch.optim.Optimizer]:
    module = net(state)
    optimizer = torch.optim.AdamW(module.parameters())
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = {name: value.clone() for name, value in state.items()}
    optimizer.step()
    module.load_state_dict(before)
    return module, optimizer


def saved(make: Callable[[State], object], **options: object) -> Writer:
    return lambda state, file: torch.save(make(state), file, **options)


def training_run(state: State) -> dict[str, object]:
    module, optimizer = trained_once(state)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    return {
        "epoch": 7,
        "arch": "net",
        "state_dict": module.state_dict(),
        "best_acc1": torch.tensor(71.5),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "scaler": torch.amp.GradScaler("cpu", enabled=False).state_dict(),
    }


def odd_company(state: State) -> dict[str, object]:
    return {
        "net": state,
        "when": datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC),
        "took": datetime.timedelta(hours=3),
        "day": datetime.date(2024, 5, 1),
        "losses_by_name": defaultdict(list, {"loss": [1.0, 0.5]}),
        "nested": defaultdict(functools.partial(defaultdict, list)),
        "losses": collections.deque([1.0], maxlen=5),
        "counts": collections.Counter("abc"),
        "args": argparse.Namespace(lr=0.1, out=pathlib.Path("runs/1")),
        "point": Point(1, 2),
        "colour": {Colour.RED: Colour.RED},
        "config": Config(lr=Config(start=0.1)),
        "slotted": Slotted(),
        "tracker": Tracker(),
        "update": Tracker().update,
        "loss_function": nn.functional.cross_entropy,
        "klass": Net,
        "dtype": torch.float16,
        "device": torch.device("cuda:0"),
        "size": torch.Size([3, 4]),
        "set": {1, 2},
        "frozen": frozenset((1, 2)),
        "complex": 1 + 2j,
        "range": range(3),
        "bytes": b"abc",
        "array": np.arange(6.0).reshape(2, 3),
        "scalar": np.float64(0.7),
        "integer": np.int64(3),
        "flag": np.bool_(True),
        "texts": np.array(["a", "b"]),
        "objects": np.array([{"a": 1}, None], dtype=object),
        "random": np.random.RandomState(0).get_state(),
        "generator": np.random.default_rng(0),
        "torch_random": torch.get_rng_state(),
        "id": uuid.UUID(int=3),
        "decimal": Decimal("1.5"),
        "big": 2**70,
        "error": ValueError("no"),
        "nothing": type(None),
        "hint": list[int],
        "optional": Optional[int],  # noqa: UP045 - it is pickled in another way than int | None
        "either": int | None,
        "log": logging.getLogger("lurk.test"),
        "pattern": re.compile("a"),
        "slice": slice(1, 2),
        "sparse": torch.eye(3).to_sparse(),
        "half_float": torch.zeros(3).to(torch.float8_e4m3fn),
        "ints": torch.zeros(3, dtype=torch.complex64),
        "storage": torch.storage.UntypedStorage(4),
        "none": None,
    }


def omegaconf_run(state: State) -> dict[str, object]:
    from omegaconf import OmegaConf

    config = OmegaConf.create({"model": {"name": "net", "layers": [1, 2]}, "path": pathlib.Path("a"), "rate": 0.1})
    return {"model": state, "config": config}


def lightning_run(state: State, file: Path) -> None:
    import pytorch_lightning as lightning

    class Module(lightning.LightningModule):
        def __init__(self, rate: float = 0.1, out: pathlib.Path = pathlib.Path("runs")) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.model = net(state)
            self.criterion = nn.CrossEntropyLoss(weight=torch.ones(4))

        def training_step(self, batch, _index):
            return self.criterion(self.model(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.0)

    trainer = lightning.Trainer(
        max_steps=1,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=file.parent,
        enable_checkpointing=False,
    )
    module = Module()
    batch = [(torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.long))]
    trainer.fit(module, torch.utils.data.DataLoader(batch, batch_size=None))
    module.model.load_state_dict(state)
    trainer.save_checkpoint(file)


def averaged(state: State) -> dict[str, object]:
    return {"model": other(state), "swa": AveragedModel(net(state)).state_dict()}


def dino(state: State) -> dict[str, object]:
    head = {"head.mlp.0.weight": torch.ones(3, 5), "head.last_layer.weight_g": torch.ones(3, 1)}
    return {
        "student": prefixed(other(state), "module.backbone.") | prefixed(head, "module."),
        "teacher": prefixed(state, "backbone.") | head,
        "dino_loss": {"center": torch.zeros(1, 3)},
        "epoch": 3,
        "args": argparse.Namespace(arch="net"),
    }


def moco(state: State) -> dict[str, object]:
    states = prefixed(state, "module.encoder_q.") | prefixed(other(state), "module.encoder_k.")
    return {"state_dict": states | {"module.queue": torch.ones(3, 8), "module.queue_ptr": torch.zeros(1)}}


def tied(state: State) -> State:
    whole = torch.cat([value.flatten() for value in state.values() if value.is_floating_point()])
    views, start = {}, 0
    for name, value in state.items():
        if not value.is_floating_point():
            views[name] = value
            continue
        views[name] = whole[start : start + value.numel()].view(value.shape)
        start += value.numel()
    return views


def shards(state: State, file: Path, kind: str) -> None:
    places = {}
    for number, names in enumerate((list(state)[:5], list(state)[5:]), 1):
        part = f"{kind}-{number:05}-of-00002" + (".safetensors" if kind == "model" else ".bin")
        chosen = {name: state[name] for name in names}
        save_file(chosen, file.parent / part) if kind == "model" else torch.save(chosen, file.parent / part)
        places |= dict.fromkeys(names, part)
    file.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))


def pickled(make: Callable[[State], object], protocol: int) -> Writer:
    return lambda state, file: file.write_bytes(pickle.dumps(make(state), protocol))


def arrays(state: State) -> dict[str, object]:
    return {"model": {name: value.numpy() for name, value in state.items()}, "__author__": "somebody"}


def thop(state: State) -> State:
    extra = {
        f"{part}.{word}": torch.zeros(1)
        for part in ("conv", "fc", "layer1.0")
        for word in ("total_ops", "total_params")
    }
    return state | extra | {"total_ops": torch.zeros(1), "total_params": torch.zeros(1)}


def untracked(state: State) -> State:
    return {name: value for name, value in state.items() if "tracked" not in name}


def archive_of_arrays(_state: State, file: Path) -> None:
    with file.open("wb") as opened:
        np.savez(opened, a=np.ones(3))


def frozen(state: State) -> nn.Module:
    module = net(state)
    module.register_buffer("scratch", torch.ones(3), persistent=False)
    module.note = torch.ones(2)
    return module.requires_grad_(False)


class OfTpu:
    """A tensor as torch's XLA devices pickle it."""

    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        arguments = (self.value.numpy(), self.value.dtype, "xla:0", False)
        return torch._utils._rebuild_device_tensor_from_numpy, arguments


class Sharded:
    """A tensor as torch pickles a subclass with tensors inside, such as DTensor."""

    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        shape = self.value.shape
        parts = (Sharded, self.value.dtype, shape, (1,), 0, torch.strided, "cpu", False)
        return torch._tensor._rebuild_from_type_v2, (torch._utils._rebuild_wrapper_subclass, Sharded, parts, {})


class Holder:
    """An object that holds weights and gives them to pickle in a way of its own."""

    def __init__(self, state):
        self.held = state

    def __getstate__(self):
        return ("version 1", self.held)


def table_beside(state: State) -> dict[str, object]:
    import pandas

    return {"history": pandas.DataFrame({"epoch": [1, 2], "note": ["a", "b"]}), "model": state}


LEGACY = {"_use_new_zipfile_serialization": False}
FITTING: dict[str, tuple[str, Writer]] = {
    "plain": ("a.pth", saved(dict)),
    "plain, older format": ("a.pth", saved(dict, **LEGACY)),
    "its own state dict": ("a.pt", saved(lambda s: net(s).state_dict())),
    "safetensors": ("a.safetensors", lambda s, file: save_file(s, file, {"format": "pt"})),
    "safetensors called .bin": ("pytorch_model.bin", save_file),
    "torch file called .safetensors.bin": ("a.safetensors.bin", saved(dict)),
    "parallel": ("a.pth", saved(lambda s: nn.DataParallel(net(s)).state_dict())),
    "compiled": ("a.pth", saved(lambda s: torch.compile(net(s)).state_dict())),
    "parallel and compiled": ("a.pth", saved(lambda s: prefixed(s, "module._orig_mod."))),
    "inner module": ("a.pth", saved(lambda s: {n.replace("layer1.", "layer1.module."): v for n, v in s.items()})),
    "inner checkpointed": ("a.pth", saved(lambda s: {n.replace("fc.", "fc._orig_mod."): v for n, v in s.items()})),
    "training run": ("checkpoint.pth.tar", saved(training_run)),
    "training run, older format": ("checkpoint.pth.tar", saved(training_run, **LEGACY)),
    "odd company": ("a.th", saved(odd_company)),
    "odd company, older format": ("a.th", saved(odd_company, **LEGACY)),
    "odd company, newer pickle": ("a.th", saved(odd_company, pickle_protocol=5)),
    "omegaconf": ("a.pt", saved(omegaconf_run)),
    "Lightning": ("last.ckpt", lightning_run),
    "network saved whole": ("best.pt", saved(net)),
    "network saved whole, older format": ("best.pt", saved(net, **LEGACY)),
    "parallel network saved whole": ("best.pt", saved(lambda s: {"model": nn.DataParallel(net(s)), "epoch": 3})),
    "frozen network saved whole": ("best.pt", saved(frozen)),
    "average beside": ("a.pth", saved(lambda s: {"state_dict": other(s), "ema": s, "criterion": {"a": torch.ones(3)}})),
    "timm": ("a.pth", saved(lambda s: {"arch": "net", "state_dict": other(s), "state_dict_ema": s, "metric": 71.2})),
    "averaged model": ("a.pth", saved(averaged)),
    "average of whole networks": ("a.pt", saved(lambda s: {"model": net(other(s)).half(), "ema": net(s), "updates": 3})),
    "the same twice": ("a.pth", saved(lambda s: {"model": s, "best": {n: v.clone() for n, v in s.items()}})),
    "deep": ("a.pth", saved(lambda s: {"a": [{"b": ({"net": prefixed(s, "backbone.encoder.")},)}]})),
    "parts by name": ("a.pth", saved(lambda s: {p: {n[len(p) + 1 :]: v for n, v in s.items() if n.startswith(p + ".")} for p in ("conv", "bn", "layer1", "fc")})),
    "DeepSpeed": ("mp_rank_00_model_states.pt", saved(lambda s: {"module": prefixed(s, "model."), "lr_scheduler": {}})),
    "detector": ("a.pth", saved(lambda s: {"model": prefixed(s, "backbone.bottom_up.") | {"roi_heads.w": torch.ones(3)}})),
    "arrays": ("model_final.pkl", pickled(arrays, 4)),
    "arrays in an old pickle": ("model_final.pkl", pickled(arrays, 2)),
    "pickled tensors": ("a.pkl", pickled(dict, 5)),
    "arrays in a torch file": ("a.pth", saved(arrays)),
    "views of one tensor": ("a.pth", saved(tied)),
    "views of one tensor, older format": ("a.pth", saved(tied, **LEGACY)),
    "parameters": ("a.pth", saved(lambda s: {n: nn.Parameter(v) if v.is_floating_point() else v for n, v in s.items()})),
    "transposed memory": ("a.pth", saved(lambda s: {n: v.t().contiguous().t() if v.ndim == 2 else v for n, v in s.items()})),
    "channels last": ("a.pth", saved(lambda s: net(s).to(memory_format=torch.channels_last).state_dict())),
    "no counters": ("a.pth", saved(untracked)),
    "thop": ("a.pth", saved(thop)),
    "loss weights": ("a.pth", saved(lambda s: s | {"criterion.weight": torch.ones(4), "loss_fn.pos_weight": torch.ones(1)})),
    "averaging counter": ("a.pth", saved(lambda s: AveragedModel(net(s)).state_dict())),
    "sharded safetensors": ("model.safetensors.index.json", lambda s, file: shards(s, file, "model")),
    "sharded bin": ("pytorch_model.bin.index.json", lambda s, file: shards(s, file, "pytorch_model")),
    "pandas beside": ("a.pth", saved(table_beside)),
    "an object of one's own": ("a.pth", saved(lambda s: {"trainer": Holder(s)})),
    "BasicSR": ("a.pth", saved(lambda s: {"params": other(s), "params_ema": s})),
    "MMEngine": ("a.pth", saved(lambda s: {"meta": {}, "state_dict": prefixed(other(s), "backbone."), "ema_state_dict": prefixed(s, "module.backbone.") | {"steps": torch.tensor(3)}})),
    "masked autoencoder": ("a.pth", saved(lambda s: {"model": prefixed(s, "encoder.") | {"mask_token": torch.ones(1), "decoder.0.weight": torch.ones(3)}})),
    "networks by name": ("a.pth", saved(lambda s: {"nets": {"G": net(s), "D": nn.Linear(3, 2)}})),
    "arrays of the other byte order": ("a.pkl", pickled(lambda s: {n: v.numpy().astype(v.numpy().dtype.newbyteorder(">")) for n, v in s.items()}, 2)),
    "arrays in Fortran's order": ("a.pkl", pickled(lambda s: {n: np.asfortranarray(v.numpy()) for n, v in s.items()}, 5)),
    "double precision": ("a.pth", saved(lambda s: {n: v.double() if v.is_floating_point() else v for n, v in s.items()})),
    "pairs of name and weight": ("a.pth", saved(lambda s: list(net(s).named_parameters()) + list(net(s).named_buffers()))),
    "tensors of a TPU": ("a.pth", saved(lambda s: {n: OfTpu(v) for n, v in s.items()})),
    "state of an optimizer by name": ("a.pth", saved(lambda s: {"optimizer": {"exp_avg": other(s)}, "grads": other(other(s)), "net": s})),
    "masks of an autoencoder": ("a.pth", saved(lambda s: s | {"mask_token": torch.ones(3), "decoder_pos_embed": torch.ones(3)})),
    "a contrastive scale": ("a.pth", saved(lambda s: s | {"logit_scale": torch.tensor(4.6)})),
    "a part with a slash": ("a.pth", saved(lambda s: {"runs/1": s})),
    "a head that the network lacks": ("a.pth", saved(lambda s: prefixed(s, "model.") | {"projector.0.weight": torch.ones(3)})),
}  # fmt: skip


def changed(state: State, **changes: torch.Tensor | None) -> State:
    found = {name: value.clone() for name, value in state.items()} | changes
    return {name: value for name, value in found.items() if value is not None}


def filled_with(state: State, value: float) -> State:
    weight = state["conv.weight"].clone()
    weight[0, 0, 0, :2] = value
    return changed(state, **{"conv.weight": weight})


def deeper(state: State) -> State:
    return state | {"layer1.3.weight": torch.ones(5, 5, 1, 1), "layer1.3.bias": torch.ones(5)}


def scripted(state: State, file: Path) -> None:
    torch.jit.script(net(state)).save(file)


OTHER: dict[str, tuple[str, Writer, str]] = {
    "a weight missing": ("a.pth", saved(lambda s: changed(s, **{"fc.bias": None})), r"it lacks fc\.bias"),
    "a weight too many": ("a.pth", saved(lambda s: changed(s, extra=torch.ones(1))), "has extra too many"),
    "a deeper network": ("a.pth", saved(deeper), r"has layer1\.3\.weight, layer1\.3\.bias too many"),
    "a branch inside a part": ("a.pth", saved(lambda s: s | {"layer1.momentum.weight": torch.ones(5)}), r"has layer1\.momentum\.weight too many"),
    "another network": ("a.pth", saved(lambda s: {"blocks.0.attn.qkv.weight": torch.zeros(9, 3)}), "none of its 1 tensors"),
    "other classes": ("a.pth", saved(lambda s: Net(7).state_dict()), "trained for 7 classes, the model has 4"),
    "other channels": ("a.pth", saved(lambda s: changed(s, **{"conv.weight": torch.zeros(5, 1, 3, 3)})), r"conv\.weight is \(5, 1, 3, 3\), not \(5, 3, 3, 3\)"),
    "NaN": ("a.pth", saved(lambda s: {"ema": filled_with(s, float("nan"))}), r"NaN or infinity in conv\.weight \(2 of 135"),
    "infinity": ("a.pth", saved(lambda s: filled_with(s, float("inf"))), r"NaN or infinity in conv\.weight \(2 of 135"),
    "a huge view": ("a.pth", saved(lambda s: changed(s, **{"fc.bias": torch.zeros(1).expand(10**12)})), "trained for|1000000000000"),
    "complex": ("a.pth", saved(lambda s: changed(s, **{"fc.bias": torch.zeros(4, dtype=torch.complex64)})), r"fc\.bias in a form .*real numbers \(complex"),
    "integers": ("a.pth", saved(lambda s: changed(s, **{"fc.weight": (s["fc.weight"] * 100).to(torch.int8)})), r"fc\.weight as int8, --model has float32"),
    "truths": ("a.pth", saved(lambda s: changed(s, **{"fc.weight": s["fc.weight"] > 0})), r"fc\.weight as bool"),
    "fractions for whole numbers": ("a.pth", saved(lambda s: changed(s, **{"bn.num_batches_tracked": torch.tensor(2.5)})), r"tracked as float32, --model has int64"),
    "complex safetensors": ("a.safetensors", lambda s, file: save_file(changed(s, **{"fc.bias": torch.zeros(4, dtype=torch.complex64)}), file), r"fc\.bias as complex64"),
    "a negated view": ("a.pth", saved(lambda s: changed(s, **{"fc.bias": torch.zeros(4, dtype=torch.complex64).conj().imag})), r"fc\.bias in a form .*marked 'neg'"),
    "a tensor with tensors inside": ("a.pth", saved(lambda s: changed(s, **{"fc.bias": Sharded(s["fc.bias"])})), r"fc\.bias in a form .*checkpoints\.Sharded"),
    "an optimizer by name only": ("a.pth", saved(lambda s: {"exp_avg": s}), r"none of its 13 tensors .*it has exp_avg\."),
    "flat parameters of FSDP": ("a.pth", saved(lambda s: {"_flat_param": torch.ones(90), "fc._fsdp_wrapped_module._flat_param": torch.ones(9)}), "flat parameters of FSDP"),
    "a state that DeepSpeed divided": ("a.pt", saved(lambda s: {"optimizer_state_dict": {"single_partition_of_fp32_groups": [torch.ones(90)]}}), r"zero_to_fp32\.py"),
    "names without values": ("a.pt", saved(lambda s: {"module": {n: torch.empty(0) for n in s}}), r"without values, as DeepSpeed"),
    "one of several files": ("model-00001-of-00002.safetensors", lambda s, file: save_file(dict(list(s.items())[:5]), file), "name their index"),
    "an archive of all weights as arrays": ("a.npz", lambda s, file: np.savez(file, **{n: v.numpy() for n, v in s.items()}), "archive of NumPy arrays; write them with"),
    "a folder": ("a.pth", lambda s, file: file.mkdir(), "is a folder; name a file in it"),
    "sparse": ("a.pth", saved(lambda s: changed(s, **{"fc.weight": s["fc.weight"].to_sparse()})), r"fc\.weight in a form .*\(sparse"),
    "quantised": ("a.pth", saved(lambda s: changed(s, **{"fc.weight": torch.quantize_per_tensor(s["fc.weight"], 0.1, 0, torch.qint8)})), r"fc\.weight in a form .*\(quantised"),
    "without values": ("a.pth", saved(lambda s: changed(s, **{"fc.weight": s["fc.weight"].to("meta")})), r"fc\.weight in a form .*\(without values"),
    "optimizer only": ("a.pth", saved(lambda s: trained_once(s)[1].state_dict()), "none of its 30 tensors has a name"),
    "no tensors": ("a.pth", saved(lambda s: {"epoch": 3, "args": argparse.Namespace(lr=1)}), "holds no weights"),
    "nothing": ("a.pth", saved(lambda s: {}), "holds no weights"),
    "a list of weights": ("a.pth", saved(lambda s: list(s.values())), "none of its 13 tensors has a name of the network's"),
    "a tensor": ("a.pth", saved(lambda s: s["fc.bias"]), "none of its 1 tensors has a name"),
    "teacher and student": ("a.pth", saved(dino), r"2 sets of weights .*`teacher\.backbone`, `student\.backbone`; say which, such as --weights a\.pth:teacher\.backbone"),
    "two encoders": ("a.pth", saved(moco), r"2 sets .*`state_dict\.encoder_q`, `state_dict\.encoder_k`"),
    "best and last": ("a.pth", saved(lambda s: {"last": s, "best": other(s)}), "2 sets .*`last`, `best`"),
    "three sets": ("a.pth", saved(lambda s: {"a": s, "ema": other(s), "b": other(other(s))}), "3 sets"),
    "the nearest is nested": ("a.pth", saved(lambda s: {"ema": changed(s, **{"fc.bias": None}), "optimizer": {"fc.bias": torch.ones(4)}}), r"nearest is `ema`: it lacks fc\.bias"),
    "weight norm": ("a.pth", saved(lambda s: changed(s, **{"conv.weight": None, "conv.weight_g": torch.ones(5, 1, 1, 1), "conv.weight_v": s["conv.weight"]})), r"lacks conv\.weight and has conv\.weight_g"),
    "TorchScript": ("a.pt", scripted, "is a TorchScript program"),
    "a call of os.system": ("a.pth", saved(lambda s: s | {"x": Opener(__import__("os").system, "true")}), r"would run posix\.system"),
    "a call of eval": ("a.pth", saved(lambda s: s | {"x": Opener(eval, "1")}), r"would run builtins\.eval"),
    "a call of a method": ("a.pth", saved(lambda s: s | {"x": Opener(Path.write_text, Path("evil.txt"), "run")}), r"would run pathlib\.Path\.write_text"),
    "a call in a plain pickle": ("a.pkl", pickled(lambda s: {"x": Opener(exec, "1")}, 4), r"would run builtins\.exec"),
    "a call of torch.load": ("a.pth", saved(lambda s: s | {"x": Opener(torch.load, "b.pth")}, **LEGACY), r"would run torch\.serialization\.load"),
    "an empty file": ("a.pth", lambda s, file: file.touch(), "a.pth is empty"),
    "a text": ("a.pth", lambda s, file: file.write_text("no weights at all"), "damaged or no file of weights"),
    "a web page": ("a.pth", lambda s, file: file.write_text("<!DOCTYPE html><html>404</html>"), "is a web page"),
    "a pointer of Git LFS": ("a.pth", lambda s, file: file.write_text("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    "Keras": ("a.pth", lambda s, file: file.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64)), "HDF5"),
    "other safetensors": ("a.safetensors", lambda s, file: save_file({"b": torch.ones(1)}, file), "none of its 1 tensors"),
    "arrays in an archive": ("a.pt", archive_of_arrays, r"archive of NumPy arrays"),
}  # fmt: skip
