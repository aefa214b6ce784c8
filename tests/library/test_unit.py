"""What a unit draws; the numbers are compared with the page's, whose own tests compare them with references."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

import lurk
from lurk.errors import LurkError
from lurk.service.unit_view import UnitView
from lurk.service.unit_words import number
from lurk.web.ui.panels import class_bars, distribution
from tests.conftest import make_statistics


def page_figure(section):
    """The Plotly figure inside a section of the page."""
    (graph,) = [part.children for part in section.children if "figure" in (getattr(part, "className", None) or "")]
    return graph.figure


@pytest.fixture
def units(toy_index):
    """Units of the toy index as a notebook and as the page have them: never active, saturated, and of no rectifier."""
    index = lurk.Index(toy_index.folder)
    places = [("conv", 0), ("conv", 1), ("conv", 2), ("fc", 1)]
    return [(index.unit(*place), UnitView(toy_index, *place)) for place in places]


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_bars_are_the_page_s(units, kind):
    for unit, view in units:
        page, drawn = page_figure(class_bars.bars(view, kind))["data"][0], unit.plot_classes(kind).data[0]
        assert list(drawn.x) == page["x"]
        assert list(drawn.error_x.array) == page["error_x"]["array"]
        assert [list(row) for row in drawn.customdata] == page["customdata"]


def test_bars_are_the_means_over_the_images_of_a_class(units):
    _, batch = make_statistics()
    maximum, labels = batch.maximum.numpy()[:, 0], batch.labels.numpy()
    drawn = units[0][0].plot_classes("max")
    expected = sorted(((maximum[labels == y].mean(), name) for y, name in enumerate(("cat", "dog"))), reverse=True)
    np.testing.assert_allclose(drawn.data[0].x, [mean for mean, _ in expected], rtol=1e-6)
    assert [row[0] for row in drawn.data[0].customdata] == [name for _, name in expected]
    np.testing.assert_allclose(drawn.layout.shapes[0].x0, np.mean([mean for mean, _ in expected]), rtol=1e-6)


def test_the_histogram_is_the_page_s(units):
    for unit, view in units:
        page, drawn = page_figure(distribution.distribution(view, "max"))["data"][0], unit.plot_distribution().data[0]
        assert list(drawn.x) == page["x"]
        assert list(drawn.y) == page["y"]


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_top_images_have_the_page_s_scores_and_the_index_s_pixels(units, kind):
    for unit, view in units:
        hits, drawn = view.hits(kind), unit.plot_top(kind)
        assert len(drawn.layout.images) == len(hits)
        for hit, image, caption in zip(hits, drawn.layout.images, drawn.layout.annotations, strict=True):
            assert caption.text.startswith(number(hit["score"]))
            assert (opened(image.source) == 10 * hit["image"]).all()


def opened(source):
    data = base64.b64decode(source.removeprefix("data:image/webp;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


def test_the_frame_lies_where_the_patch_is(units):
    unit, view = units[0]
    drawn = unit.plot_top()
    for hit, image, frame in zip(view.hits("max"), drawn.layout.images, drawn.layout.shapes, strict=True):
        left, top, width, height = hit["outline"]
        assert frame.x0 == pytest.approx(image.x + left * image.sizex)
        assert frame.x1 == pytest.approx(image.x + (left + width) * image.sizex)
        assert frame.y0 == pytest.approx(image.y + top * image.sizey)
        assert frame.y1 == pytest.approx(image.y + (top + height) * image.sizey)


def test_patches_are_cut_out_of_the_images(units):
    unit, view = units[0]
    for hit, image in zip(view.hits("max"), unit.plot_patches().layout.images, strict=True):
        row0, col0, row1, col1 = hit["box"]
        shape = opened(image.source).shape
        assert shape[0] * (col1 - col0) == shape[1] * (row1 - row0)


def test_a_unit_that_is_never_active_says_that_the_images_come_nearest(units):
    unit = units[1][0]
    assert unit.state == "dead"
    assert "Never active on these images; these come nearest" in unit.plot_top().layout.title.text
    assert "Dead" in unit.plot_distribution().layout.title.text


def test_names_stay_text_in_a_figure(tmp_path):
    from lurk.storage.index_writer import write_index
    from tests.conftest import finish, make_manifest

    entries = [(f"<b>{n}</b>.png", n % 2) for n in range(6)]
    with write_index(tmp_path, make_manifest(classes=("<i>cat</i>", "a & b", "owl")), entries) as writer:
        finish(writer)
        unit = lurk.Index(writer.folder).unit("conv", 0)
    for drawn in (unit.plot_top(), unit.plot_classes()):
        assert "<i>" not in drawn.to_json().replace("\\u003c", "<")
    assert "<i>" not in unit._repr_html_()
    assert "<b>0</b>" not in unit._repr_html_()


def test_another_ranking_is_refused(units):
    for plot in (units[0][0].plot_top, units[0][0].plot_patches, units[0][0].plot_classes):
        with pytest.raises(LurkError, match="not by 'avg'"):
            plot("avg")


def test_its_text_is_short_and_says_the_best_image(units):
    unit = units[0][0]
    assert repr(unit).startswith("<Unit 0 of conv: ")
    assert len(repr(unit)) < 120


def test_images_without_classes_say_why(tmp_path):
    from lurk.storage.index_writer import write_index
    from tests.conftest import finish, make_manifest

    manifest = make_manifest(classes=None, class_note="the folder has no sub-folders")
    with write_index(tmp_path, manifest, [(f"{n}.png", None) for n in range(6)]) as writer:
        finish(writer)
        index = lurk.Index(writer.folder)
    words = "No classes: the folder has no sub-folders."
    assert words in index.unit("conv", 0).plot_classes().layout.annotations[0].text
    assert words in index.unit("conv", 0)._repr_html_()
    assert index.frame().strongest_class.isna().all()
