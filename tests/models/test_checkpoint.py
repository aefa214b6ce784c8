import hashlib
import random
import re
import struct
import zipfile

import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn
from torch.nn.utils import parametrizations, weight_norm

import lurk
from lurk.errors import WeightsError
from lurk.models.checkpoint import fill
from lurk.models.weights import search
from tests.models.checkpoints import FITTING, OTHER, Net, dino, moco, odd_company, other, prefixed

SLOW = ("compiled", "Lightning")


@pytest.fixture
def trained() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return {name: torch.rand_like(value.float()).to(value.dtype) for name, value in Net().state_dict().items()}


def equal(module: nn.Module, state: dict[str, torch.Tensor]) -> bool:
    """Whether all weights are those of a state, to the last bit; a missing counter of batches is none."""
    own = module.state_dict()
    return own.keys() == state.keys() and all(
        torch.equal(value, state[name]) for name, value in own.items() if "tracked" not in name
    )


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")  # Lightning's
@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.slow) if k in SLOW else k for k in FITTING])
def test_every_checkpoint_of_the_network_fills_it_to_the_last_bit(tmp_path, trained, kind):
    name, write = FITTING[kind]
    write(trained, tmp_path / name)
    module = Net()
    filled = fill(module, tmp_path / name)
    assert equal(module, trained)
    assert filled.name.startswith(name)
    if filled.name == name and "index" not in name:
        assert filled.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()


@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor.*:UserWarning", "ignore:.*deprecated.*:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")
@pytest.mark.parametrize("kind", OTHER)
def test_every_other_file_is_refused_with_its_reason_and_changes_nothing(tmp_path, trained, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, write, reason = OTHER[kind]
    write(trained, tmp_path / name)
    module = Net()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(WeightsError, match=reason) as caught:
        fill(module, tmp_path / name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300
    assert "weights_only" not in str(caught.value)
    assert equal(module, before)
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("plain", ""),
        ("parallel", "took 13 of 13 tensors, without `module.`"),
        (
            "average beside",
            "took `ema`, 13 of 13 tensors; left 1 tensor of `criterion`; "
            "`state_dict` is there too: --weights a.pth:state_dict",
        ),
        ("the same twice", "took `model`, 13 of 13 tensors; `best` holds the same"),
        ("no counters", ""),
        ("thop", "took 13 of 13 tensors; left 4 tensors of `total_ops`, 4 tensors of `total_params`"),
        ("loss weights", "took 13 of 13 tensors; left 1 tensor of `criterion`, 1 tensor of `loss_fn`"),
        ("detector", "took `model.backbone.bottom_up`, 13 of 13 tensors; left 1 tensor of `model.roi_heads`"),
        ("double precision", "float64 values as float32, unchanged"),
    ],
)
def test_what_was_taken_and_left_is_said(tmp_path, trained, kind, note):
    name, write = FITTING[kind]
    write(trained, tmp_path / name)
    filled = fill(Net(), tmp_path / name)
    assert filled.notes == ((f"{name}: {note}",) if note else ())
    assert filled.notice == ""


def test_one_part_of_several_is_taken_when_it_is_named(tmp_path, trained):
    torch.save(dino(trained), tmp_path / "a.pth")
    torch.save(moco(trained), tmp_path / "b.pth")
    torch.save({"state_dict": other(trained), "ema": trained}, tmp_path / "c.pth")
    torch.save(prefixed(trained, "module.") | prefixed(other(trained), "ema."), tmp_path / "d.pth")
    hashes = set()
    for place, state in {
        "a.pth:teacher": trained,
        "a.pth:student": other(trained),
        "a.pth:student.module.backbone": other(trained),
        "b.pth:encoder_q": trained,
        "b.pth:state_dict.module.encoder_k": other(trained),
        "c.pth": trained,
        "c.pth:ema": trained,
        "c.pth:state_dict": other(trained),
        "d.pth": other(trained),
        "d.pth:.": trained,
    }.items():
        module = Net()
        hashes.add(fill(module, f"{tmp_path}/{place}").sha256)
        assert equal(module, state), place
    assert len(hashes) == 8
    for place, reason in {
        "a.pth:optimizer": "no weights of --model at 'optimizer', but at `teacher.backbone`",
        "c.pth:": "took",
    }.items():
        try:
            said = " ".join(fill(Net(), f"{tmp_path}/{place}").notes)
        except WeightsError as error:
            said = str(error)
        assert reason in said


class Wrapper(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.ModuleDict({"net": Net()})


def test_a_prefix_of_the_network_may_be_missing_in_the_file(tmp_path, trained):
    for prefix in ("", "model.", "backbone.", "net.", "model.net."):
        torch.save({"state_dict": prefixed(trained, prefix)}, tmp_path / "a.pth")
        module = Wrapper()
        filled = fill(module, tmp_path / "a.pth")
        assert equal(module.model["net"], trained), prefix
        assert "as `model.net.` of the network" in filled.notes[0] or prefix.endswith("net.")


def test_names_of_the_network_that_look_like_a_wrapper_stay_apart(tmp_path):
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)
            self.module = nn.ModuleDict({"conv": nn.Conv2d(3, 2, 1)})

    torch.manual_seed(1)
    one, two = Two(), Two()
    torch.save(one.state_dict(), tmp_path / "a.pth")
    fill(two, tmp_path / "a.pth")
    assert equal(two, one.state_dict())


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.again = self.conv
        self.fc, self.head = nn.Linear(3, 3), nn.Linear(3, 3)
        self.head.weight = self.fc.weight


def test_a_weight_with_two_names_may_have_one_in_the_file_but_not_two_values(tmp_path):
    torch.manual_seed(1)
    source = Tied()
    whole = source.state_dict()
    save_model(source, str(tmp_path / "a.safetensors"))
    assert fill(module := Tied(), tmp_path / "a.safetensors").notes == ()
    assert equal(module, whole)
    torch.save({name: value.clone() for name, value in whole.items()}, tmp_path / "b.pth")
    fill(module := Tied(), tmp_path / "b.pth")
    assert equal(module, whole)
    torch.save(whole | {"head.weight": whole["head.weight"] + 1}, tmp_path / "c.pth")
    with pytest.raises(WeightsError, match=r"other values for head\.weight than for fc\.weight, which are one weight"):
        fill(Tied(), tmp_path / "c.pth")
    torch.save({name: value for name, value in whole.items() if "bias" not in name}, tmp_path / "d.pth")
    with pytest.raises(WeightsError, match=r"lacks conv\.bias, again\.bias, fc\.bias and 1 more"):
        fill(Tied(), tmp_path / "d.pth")


def test_a_part_that_the_network_lacks_is_a_warning(tmp_path, trained):
    extra = {"stem.0.weight": torch.ones(3), "aux_head.weight": torch.ones(2)}
    torch.save(trained | extra, tmp_path / "a.pth")
    filled = fill(Net(), tmp_path / "a.pth")
    assert filled.notice == "a.pth also holds stem, which the network does not have"
    assert "left 1 tensor of `stem`, 1 tensor of `aux_head`" in filled.notes[0]
    model = lurk.load_model(Net(), weights=str(tmp_path / "a.pth"), input_shape=(3, 16, 16))
    assert filled.notice in model.notice


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weight_norm_is_read_in_its_older_and_its_newer_words(tmp_path):
    torch.manual_seed(1)
    makers = (weight_norm, parametrizations.weight_norm)
    for number, write in enumerate(makers):
        source = nn.Sequential(write(nn.Conv2d(3, 4, 3)))
        torch.save(source.state_dict(), tmp_path / f"{number}.pth")
        for read in makers:
            module = nn.Sequential(read(nn.Conv2d(3, 4, 3)))
            fill(module, tmp_path / f"{number}.pth")
            image = torch.rand(1, 3, 8, 8)
            assert torch.equal(module(image), source(image))


def test_a_model_from_a_file_says_which_and_leaves_the_given_one_alone(tmp_path, trained):
    torch.save({"state_dict": prefixed(trained, "module."), "ema": other(trained)}, tmp_path / "mine.pth")
    net = Net()
    before = net.conv.weight.clone()
    model = lurk.load_model(net, weights=tmp_path / "mine.pth", input_shape=(3, 16, 16))
    assert model.weights == "mine.pth:ema"
    assert "took `ema`" in model.notes[0]
    assert "ema" not in model.notice
    assert equal(model.module, other(trained))
    assert torch.equal(net.conv.weight, before)
    assert lurk.load_model(net, weights=f"{tmp_path}/mine.pth:state_dict", input_shape=(3, 16, 16)).weights == (
        "mine.pth:state_dict"
    )


def test_half_precision_is_widened_and_double_rounded(tmp_path, trained):
    torch.save({name: value.half() for name, value in trained.items() if "tracked" not in name}, tmp_path / "a.pth")
    module = Net()
    assert fill(module, tmp_path / "a.pth").notes == ("a.pth: float16 values as float32, unchanged",)
    assert torch.equal(module.conv.weight, trained["conv.weight"].half().float())
    torch.save(
        {name: value.double() / 3 if "tracked" not in name else value for name, value in trained.items()},
        tmp_path / "b.pth",
    )
    assert fill(module, tmp_path / "b.pth").notes == ("b.pth: float64 values as float32, rounded",)


@pytest.mark.parametrize("name", ["x" * 200 + ".pth", "a.pth"])
def test_long_names_are_cut(tmp_path, name):
    long = "a_very_long_name_of_a_block_in_a_network." * 5
    torch.save({f"{long}{n}.weight": torch.zeros(1) for n in range(500)}, tmp_path / name)
    torch.save({f"{long}conv.weight": torch.zeros(1)}, tmp_path / f"b{name}")
    torch.save({f"{long}{n}.{k}": v for n in "ab" for k, v in Net().state_dict().items()}, tmp_path / f"c{name}")
    for file in (name, f"b{name}", f"c{name}"):
        with pytest.raises(WeightsError) as caught:
            fill(Net(), tmp_path / file)
        assert len(str(caught.value)) <= 300


def test_archives_that_fill_the_memory_and_endless_nests_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "MOST_NODES", 20_000)
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 100_000_000)
    with pytest.raises(WeightsError, match="unpacks to"):
        fill(Net(), tmp_path / "bomb.pth")
    ring: dict[str, object] = {}
    ring["self"], ring["pair"] = ring, [ring, ring]
    torch.save(ring, tmp_path / "ring.pth")
    with pytest.raises(WeightsError, match="holds no weights"):
        fill(Net(), tmp_path / "ring.pth")
    doubled: list[object] = []
    for _ in range(60):
        doubled = [doubled, doubled]
    torch.save(doubled, tmp_path / "doubled.pth")
    with pytest.raises(WeightsError, match="too many objects"):
        fill(Net(), tmp_path / "doubled.pth")
    claims = b"\x80\x02" + b"N" + b"r" + struct.pack("<I", 2**32 - 1) + b"\x96" + struct.pack("<Q", 2**40) + b"."
    (tmp_path / "claims.pkl").write_bytes(claims)
    with pytest.raises(WeightsError, match="damaged"):
        fill(Net(), tmp_path / "claims.pkl")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_damage_anywhere_is_read_or_told(tmp_path, trained, kind):
    if kind == "safetensors":
        file = tmp_path / "a.safetensors"
        save_file(trained, file)
    else:
        file = tmp_path / "a.pth"
        torch.save(odd_company(trained), file, _use_new_zipfile_serialization=kind == "zip")
    whole, lots = file.read_bytes(), random.Random(kind)
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(lots.randint(1, 6)):
            damaged[lots.randrange(lots.choice((64, 600, len(damaged))))] = lots.randrange(256)
        file.write_bytes(damaged[: lots.choice((len(damaged), lots.randrange(1, len(damaged))))])
        try:
            fill(Net(), file)
        except WeightsError as error:
            reason = str(error)
        else:
            reason = "none: it fits"
        assert reason
        assert "\n" not in reason


def test_a_flipped_bit_in_the_values_is_found(tmp_path, trained):
    torch.save(trained, tmp_path / "a.pth")
    data = bytearray((tmp_path / "a.pth").read_bytes())
    place = re.search(re.escape(trained["conv.weight"].numpy().tobytes()), bytes(data)).start()
    data[place] ^= 1
    (tmp_path / "a.pth").write_bytes(data)
    with pytest.raises(WeightsError, match="damaged"):
        fill(Net(), tmp_path / "a.pth")
