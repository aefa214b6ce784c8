import errno
import json
import math
import shutil

import numpy as np
import pytest
import torch

from lurk.errors import CacheError, IndexFormatError, LayerError
from lurk.storage import index as index_module
from lurk.storage import index_writer
from lurk.storage.histogram import histogram
from lurk.storage.index import Index
from lurk.storage.index_writer import open_index, show_in_study, write_index
from lurk.storage.manifest import study_index
from tests.conftest import finish, make_manifest, make_statistics


def test_hits_carry_path_label_position_and_box(toy_index):
    _, batch = make_statistics()
    record = toy_index.unit("conv", 0)
    order = torch.argsort(-batch.maximum[:, 0])[:4].tolist()
    assert [hit.image for hit in record.hits_max] == order
    best = record.hits_max[0]
    assert best.score == batch.maximum[order[0], 0].item()
    assert (best.row, best.col) == divmod(order[0], 4)
    assert best.box == (best.row * 2 - 1, best.col * 2 - 1, best.row * 2 + 2, best.col * 2 + 2)
    assert best.path == f"{'cat' if order[0] % 2 == 0 else 'dog'}/{order[0]}.png"
    assert best.label == order[0] % 2
    assert record.hits_mean[0].score == batch.mean[order[0], 0].item()


def running_index(cache):
    """The toy index before its sweep is finished."""
    with write_index(cache, make_manifest(), [("a", 0)] * 6) as writer:
        writer.checkpoint(make_statistics()[0].state(), done=6)
        return Index(writer.folder).open_all()


def test_class_profile_of_a_running_sweep_equals_numpy(tmp_path):
    _, batch = make_statistics()
    record = running_index(tmp_path).unit("fc", 1)
    values = batch.maximum[:, 4].double().numpy()
    assert record.class_count.tolist() == [3, 3, 0]
    np.testing.assert_allclose(record.class_max[:2], [values[0::2].mean(), values[1::2].mean()], rtol=1e-12)
    np.testing.assert_allclose(
        record.class_max_std[:2], [values[0::2].std(ddof=1), values[1::2].std(ddof=1)], rtol=1e-9
    )
    assert math.isnan(record.class_max[2])
    np.testing.assert_allclose(record.class_mean[:2], record.class_max[:2] / 2, rtol=1e-12)
    np.testing.assert_allclose(record.class_mean_std[:2], record.class_max_std[:2] / 2, rtol=1e-9)


def test_a_finished_index_keeps_the_class_profile_as_float32(toy_index, tmp_path):
    running = running_index(tmp_path / "running")
    for layer in toy_index.layers:
        for unit in range(layer.units):
            finished, exact = toy_index.unit(layer.name, unit), running.unit(layer.name, unit)
            assert finished.class_count.tolist() == exact.class_count.tolist()
            for name in ("class_max", "class_mean", "class_max_std", "class_mean_std"):
                kept, value = getattr(finished, name), getattr(exact, name)
                assert (kept.dtype, value.dtype) == (np.float64, np.float64)
                assert np.array_equal(kept, value.astype(np.float32), equal_nan=True)
    assert not list(toy_index.folder.glob("generation-*/classes_moments.npy"))


def test_a_finished_index_takes_16_bytes_a_unit_and_class_and_its_checkpoints_32(toy_index, tmp_path):
    assert toy_index.array("classes_profile").nbytes == 16 * 5 * 3
    assert running_index(tmp_path / "running").array("classes_moments").nbytes == 32 * 5 * 3


def test_distribution_and_states(toy_index):
    record = toy_index.unit("conv", 0)
    _, batch = make_statistics()
    assert record.count == 96
    assert record.mean == pytest.approx(batch.mean[:, 0].double().mean().item())
    squares = batch.squares[:, 0].sum() + 16 * ((batch.mean[:, 0] - batch.mean[:, 0].mean()) ** 2).sum()
    assert record.std == pytest.approx(math.sqrt(squares.item() / 96))
    assert record.fraction_positive == pytest.approx(7 / 16)
    assert [toy_index.unit("conv", unit).state for unit in range(3)] == ["ok", "dead", "saturated"]
    assert toy_index.states("conv") == ["ok", "dead", "saturated"]
    assert toy_index.unit("fc", 0).fraction_positive == 1
    assert toy_index.unit("fc", 0).state == "ok"


def test_tied_hits_are_in_the_order_of_what_was_before(toy_index):
    hits = toy_index.unit("conv", 2).hits_max
    assert [hit.score for hit in hits] == [6, 6, 6, 6]
    assert [hit.image for hit in hits] == [5, 4, 3, 2]
    assert [hit.before for hit in hits] == pytest.approx([6.5, 6.4, 6.3, 6.2])
    assert [hit.before for hit in toy_index.unit("conv", 2).hits_mean] == pytest.approx([3.25, 3.2, 3.15, 3.1])
    assert [hit.before for hit in toy_index.unit("fc", 0).hits_max] == [None] * 4


def test_a_constant_unit_has_no_lists(tmp_path):
    statistics, _ = make_statistics()
    state = statistics.state()
    state["distribution_range"][2] = state["distribution_range"][3] = 2.5
    with write_index(tmp_path, make_manifest(), [("a", 0)] * 6) as writer:
        writer.finish(state, done=6, skipped=())
        index = Index(writer.folder)
    assert [index.unit("conv", 2).state, index.unit("fc", 0).state] == ["constant", "constant"]
    assert index.states("conv") == ["ok", "dead", "constant"]
    assert index.unit("conv", 2).hits_max == index.unit("conv", 2).hits_mean == ()
    assert index.unit("conv", 2).quantiles[1.0] == 6
    assert index.best("conv").image.tolist()[2] == -1
    assert index.best("conv").image.tolist()[1] >= 0


def test_quantiles_end_at_the_best_score(toy_index):
    record = toy_index.unit("conv", 0)
    assert record.quantiles[1.0] == record.hits_max[0].score
    values = list(record.quantiles.values())
    assert values == sorted(values)


def test_histogram_shares_sum_to_one_and_cover_zero(toy_index):
    edges, shares = histogram(toy_index, "conv", 0)
    assert shares.sum() == pytest.approx(1)
    assert edges[0] <= 0 <= edges[-1]
    assert (shares >= 0).all()


def test_selectivity_by_hand(toy_index):
    record = toy_index.unit("fc", 0)
    best, rest = max(record.class_max[:2]), min(record.class_max[:2])
    assert toy_index.selectivity("fc")[0] == pytest.approx((best - rest) / (abs(best) + abs(rest)))


@pytest.mark.parametrize(("layer", "unit"), [("nope", 0), ("conv", 3), ("conv", -1)])
def test_unknown_layers_and_units_are_named(toy_index, layer, unit):
    with pytest.raises(LayerError, match=r"nope|no unit"):
        toy_index.unit(layer, unit)


def test_before_the_first_checkpoint_all_is_empty(tmp_path):
    with write_index(tmp_path, make_manifest(), [("a", 0)] * 6) as writer:
        index = Index(writer.folder)
    record = index.unit("conv", 1)
    assert record.hits_max == ()
    assert record.count == 0
    assert index.best("conv").image.tolist() == [-1, -1, -1]
    assert np.isnan(index.selectivity("conv")).all()
    assert index.best_class("conv").tolist() == [-1, -1, -1]
    assert histogram(index, "conv", 1)[0].size == 0


def test_open_index_answers_only_when_complete(tmp_path):
    with write_index(tmp_path, make_manifest(), [("a", 0)] * 6) as writer:
        assert open_index(tmp_path, make_manifest()) is None
        finish(writer)
    assert open_index(tmp_path, make_manifest()) is not None
    other = make_manifest(provenance=make_manifest().provenance.__class__("other", "toy", "p", "n", "i", "sweep", 1))
    assert open_index(tmp_path, other) is None


def test_a_reader_keeps_its_generation_while_the_next_is_written(tmp_path):
    with write_index(tmp_path, make_manifest(), [("a", 0)] * 6) as writer:
        statistics, _ = make_statistics()
        writer.checkpoint(statistics.state(), done=3)
        reader = Index(writer.folder).open_all()
        before = reader.unit("conv", 0)
        for _ in range(3):
            statistics.add(make_statistics()[1])
            writer.checkpoint(statistics.state(), done=6)
        after = reader.unit("conv", 0)
        assert after.count == before.count
        assert Index(writer.folder).unit("conv", 0).count == 4 * before.count


def test_a_checkpoint_cut_short_leaves_the_one_before(tmp_path):
    with write_index(tmp_path, make_manifest(), [("a", 0)] * 6) as writer:
        statistics, _ = make_statistics()
        writer.checkpoint(statistics.state(), done=3)
        half = writer.folder / "generation-000002"
        half.mkdir()
        (half / "top_max_score.npy").write_bytes(b"half")
    with write_index(tmp_path, make_manifest(), []) as writer:
        assert writer.manifest.done == 3
        assert set(writer.load()) == set(statistics.state())
        writer.checkpoint(statistics.state(), done=6)
        assert Index(writer.folder).unit("conv", 0).hits_max


def test_a_reader_that_meets_a_newer_checkpoint_reads_that_one(tmp_path):
    with write_index(tmp_path, make_manifest(), [("a", 0)] * 6) as writer:
        state = make_statistics()[0].state()
        writer.checkpoint(state, done=3)
        reader = Index(writer.folder)
        writer.checkpoint(state, done=4)
        writer.finish(state, done=6)
        assert reader.open_all().manifest.done == 6


def test_a_finished_index_keeps_of_its_last_checkpoint_what_gives_the_best_hits(tmp_path):
    with write_index(tmp_path, make_manifest(), [("a", 0)] * 6) as writer:
        state = make_statistics()[0].state()
        writer.checkpoint(state, done=3)
        best = Index(writer.folder).best("conv")
        writer.finish(state, done=6)
        before = Index(writer.folder).open_all().before()
        assert before.best("conv").image.tolist() == best.image.tolist()
        kept = {file.stem for file in (writer.folder / "generation-000001").iterdir()}
    assert kept == {
        *("top_max_image", "top_max_score", "top_max_before", "top_max_position"),
        *("distribution_counts", "distribution_moments", "distribution_range"),
    }


def test_two_writers_of_one_index_are_refused(tmp_path):
    with write_index(tmp_path, make_manifest(), [("a", 0)] * 6), pytest.raises(CacheError, match="another process"):  # noqa: SIM117
        with write_index(tmp_path, make_manifest(), []):
            pass


def set_aside(index):
    return list(index.folder.parent.glob(f"{index.folder.name}.damaged-*"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}', '{"format": 1}', '{"format": 3}'])
def test_a_damaged_or_foreign_manifest_is_refused_then_set_aside_and_made_anew(toy_index, tmp_path, content):
    (toy_index.folder / "manifest.json").write_text(content)
    (toy_index.folder / "results").mkdir()
    with pytest.raises(IndexFormatError, match="sweep again"):
        Index(toy_index.folder)
    with write_index(tmp_path, make_manifest(notice="untrained"), [("a", 0)] * 6) as writer:
        assert writer.manifest.done == 0
        finish(writer)
    assert Index(toy_index.folder).unit("conv", 0).hits_max
    (aside,) = set_aside(toy_index)
    assert (aside / "manifest.json").read_text() == content
    assert (aside / "generation-000001").is_dir()
    assert (toy_index.folder / "results").is_dir()
    notice = Index(toy_index.folder).manifest.notice
    assert notice.startswith("untrained; an index of this study could not be read")
    assert aside.name in notice
    assert str(tmp_path) not in notice


def test_an_index_of_the_format_before_is_set_aside_and_made_anew_with_its_reason(toy_index, tmp_path):
    file = toy_index.folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 1}))
    with pytest.raises(IndexFormatError, match="another version of lurk"):
        Index(toy_index.folder)
    with write_index(tmp_path, make_manifest(), [("a", 0)] * 6) as writer:
        finish(writer)
    assert len(set_aside(toy_index)) == 1
    index = open_index(tmp_path, make_manifest())
    assert index.unit("conv", 0).hits_max
    assert "it was written by another version of lurk" in index.manifest.notice


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


DAMAGES = {
    "an array is gone": lambda folder: (folder / "generation-000001/top_max_score.npy").unlink(),
    "an array is cut short": lambda folder: cut(folder / "generation-000001/sketch_packed.npy"),
    "a small array is empty": lambda folder: (folder / "generation-000001/sketch_top.npy").write_bytes(b""),
    "an array is of another size": lambda folder: np.save(folder / "generation-000001/sketch_top.npy", np.zeros(3)),
    "a packed array is shorter than it says": lambda folder: np.save(
        folder / "generation-000001/sketch_packed.npy", np.zeros(3, np.uint8)
    ),
    "an array is pickled": lambda folder: np.save(
        folder / "generation-000001/sketch_top.npy", np.array([{}] * 5), allow_pickle=True
    ),
    "the checkpoint is gone": lambda folder: shutil.rmtree(folder / "generation-000001"),
    "the list of images is cut short": lambda folder: cut(folder / "images.jsonl"),
    "the list's starts are gone": lambda folder: (folder / "images_at.npy").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_half_an_index_is_not_taken_for_a_whole_one(toy_index, tmp_path, damage):
    DAMAGES[damage](toy_index.folder)
    with pytest.raises(IndexFormatError):
        Index(toy_index.folder).open_all()
    assert open_index(tmp_path, make_manifest()) is None
    with write_index(tmp_path, make_manifest(), [("a", 0)] * 6) as writer:
        assert writer.manifest.done == 0
        assert writer.load() == {}
        finish(writer)
    assert len(set_aside(toy_index)) == 1
    assert open_index(tmp_path, make_manifest()).unit("conv", 0).hits_max


def test_a_first_sweep_and_one_that_was_killed_set_nothing_aside(tmp_path):
    for _ in range(2):
        with write_index(tmp_path, make_manifest(), [("a", 0)] * 6) as writer:
            writer.checkpoint(make_statistics()[0].state(), done=3)
            assert writer.manifest.notice == ""
    assert [folder.name for folder in (tmp_path / "index").iterdir()] == [writer.folder.name]


def test_a_checkpoint_that_finds_no_room_leaves_none_of_it(tmp_path, monkeypatch):
    def full(file, array, convert):
        file.write(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    with write_index(tmp_path, make_manifest(), [("a", 0)] * 6) as writer:
        writer.checkpoint(make_statistics()[0].state(), done=3)
        monkeypatch.setattr(index_writer, "write_array", full)
        with pytest.raises(OSError, match="No space"):
            writer.checkpoint(make_statistics()[0].state(), done=6)
        assert not (writer.folder / "generation-000002").exists()
        assert Index(writer.folder).open_all().manifest.done == 3


def test_study_points_to_its_index(toy_index, tmp_path):
    assert study_index(tmp_path, "s") is None
    show_in_study(tmp_path, "s", toy_index.folder)
    assert study_index(tmp_path, "s") == toy_index.folder
    (tmp_path / "studies" / "s.json").write_text(json.dumps({"index": "gone"}))
    assert study_index(tmp_path, "s") is None


def test_views_of_images_that_are_no_hits_are_dropped(tmp_path):
    with write_index(tmp_path, make_manifest(), [("a", 0)] * 6) as writer:
        finish(writer)
        writer.keep_views({1, 4})
        kept = sorted(int(file.stem) for file in (writer.folder / "views").glob("*/*"))
    assert kept == [1, 4]


def test_reading_one_unit_touches_only_its_rows(toy_index, monkeypatch):
    monkeypatch.setattr(index_module, "SMALL_BYTES", 100)
    names = (*index_module.ARRAYS, *index_module.FINISHED)
    big = [name for name in names if toy_index.array(name).nbytes > 100]
    assert {"sketch_packed", "classes_profile"} <= set(big)
    assert all(isinstance(toy_index.array(name), np.memmap) for name in big)


def test_an_image_set_without_classes_has_an_empty_profile(tmp_path):
    manifest = make_manifest(classes=None, class_note="a flat folder has no classes")
    with write_index(tmp_path, manifest, [("a", None)] * 6) as writer:
        statistics, _ = make_statistics()
        states = {
            **statistics.state(),
            "classes_count": np.zeros(0, np.int64),
            "classes_moments": np.zeros((5, 0, 2, 2)),
        }
        writer.finish(states, done=6)
        record = Index(writer.folder).unit("conv", 0)
    assert record.class_max.shape == (0,)
    assert record.hits_max[0].label is None


def test_names_that_are_no_unicode_are_kept_so_that_they_can_be_shown(tmp_path):
    manifest = make_manifest(classes=("caf\udce9", "dog", "owl"), skipped=((3, "\udcff.png", "é"),))
    with write_index(tmp_path, manifest, [("caf\udce9/1.png", 0), ("é/2.png", 1)] * 3) as writer:
        index = Index(writer.folder)
        assert index.image(0) == ("caf?/1.png", 0)
        assert index.image(1) == ("é/2.png", 1)
        assert index.classes == ("caf?", "dog", "owl")
        assert index.manifest.skipped == ((3, "?.png", "é"),)


def test_a_finished_index_has_the_sketches_of_its_last_checkpoint(tmp_path):
    with write_index(tmp_path, make_manifest(), [("a", 0)] * 6) as writer:
        state = make_statistics()[0].state()
        writer.checkpoint(state, done=6)
        before = Index(writer.folder).open_all()
        writer.finish(state, done=6)
        after = Index(writer.folder).open_all()
    for layer in ("conv", "fc"):
        for unit in range(after.layer(layer).units):
            assert all(map(np.array_equal, before.sketch(layer, unit), after.sketch(layer, unit)))
            assert before.unit(layer, unit).quantiles == after.unit(layer, unit).quantiles


def test_a_damaged_sketch_is_told_when_it_is_read(toy_index):
    file = toy_index.folder / "generation-000001/sketch_packed.npy"
    data = bytearray(file.read_bytes())
    data[-5] ^= 255
    file.write_bytes(data)
    index = Index(toy_index.folder).open_all()
    assert index.unit("conv", 0).quantiles
    with pytest.raises(IndexFormatError, match="sweep again"):
        index.unit("fc", 1)


def test_selectivity_is_the_same_in_blocks(toy_index, monkeypatch):
    whole = toy_index.selectivity("conv")
    monkeypatch.setattr(index_module, "BLOCK", 2)
    assert np.array_equal(toy_index.selectivity("conv"), whole)
