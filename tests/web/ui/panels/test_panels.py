"""What each panel says, as plain functions of a service."""

import dataclasses
import json

import pytest
from plotly.utils import PlotlyJSONEncoder
from werkzeug.exceptions import BadRequest

from lurk.web.ui.page_addresses import Place
from lurk.web.ui.panels import (
    PANELS,
    SECTIONS,
    class_bars,
    distribution,
    grid,
    jobs,
    layers,
    not_found,
    notes,
    skipped_images,
    studies,
    top_images,
    unit_modal,
    unit_picture,
)
from tests.web.ui.fake import UNTRAINED, FakeService
from tests.web.ui.made_up import LAYERS

HERE = {"study": "resnet18-birds", "layer": "layer1.0.conv1"}


def words(component) -> str:
    return json.dumps(component, cls=PlotlyJSONEncoder, ensure_ascii=False)


def leaves(component) -> list[str]:
    """The texts of a component, in their order."""
    if isinstance(component, str):
        return [component]
    children = getattr(component, "children", None)
    return [
        text
        for child in (children if isinstance(children, list) else [children] if children else [])
        for text in leaves(child)
    ]


def shown(unit_: int, layer: str = "layer1.0.conv1", **state):
    return FakeService(**state).unit("resnet18-birds", layer, unit_)


def figure(component) -> dict:
    """The Plotly figure inside a section."""
    (graph,) = [part for part in component._traverse() if type(part).__name__ == "Graph"]
    return graph.figure


def test_the_tables_hold_every_panel():
    assert set(PANELS) == {
        "channels",
        "grid",
        "header",
        "jobs",
        "layers",
        "missing",
        "notes",
        "skipped",
        "studies",
        "unit",
    }
    assert set(SECTIONS) == {"bars", "distribution", "hits", "wants"}


def test_bars_are_horizontal_sorted_whiskered_and_named():
    drawn = figure(class_bars.bars(shown(3), "max"))
    (trace,) = drawn["data"]
    assert trace["orientation"] == "h"
    assert len(trace["x"]) == 20
    assert trace["x"] == sorted(trace["x"], reverse=True)
    assert trace["error_x"]["array"] == pytest.approx([value * 0.1 for value in trace["x"]])
    assert drawn["layout"]["yaxis"]["range"][0] > drawn["layout"]["yaxis"]["range"][1]
    assert drawn["layout"]["shapes"][0]["x0"] == pytest.approx(shown(3).overall("max"))
    assert all("<" not in label for label in drawn["layout"]["yaxis"]["ticktext"])


def test_without_classes_the_bars_say_why():
    assert "the folder is flat" in words(class_bars.bars(shown(3, no_classes="the folder is flat"), "max"))


@pytest.mark.parametrize(("number", "said"), [(11, "Dead:"), (23, "Always on:"), (37, "Saturated:"), (42, "Constant:")])
def test_the_distribution_says_the_state_in_plain_words(number, said):
    assert said in words(distribution.distribution(shown(number), "max"))


def test_the_distribution_counts_on_a_log_axis():
    drawn = figure(distribution.distribution(shown(3), "max"))
    assert drawn["layout"]["yaxis"]["type"] == "log"
    assert {trace["type"] for trace in drawn["data"]} == {"bar"}


def test_hits_outline_the_patch_in_the_view():
    view = shown(3)
    drawn = words(top_images.hits(view, "max"))
    first = view.hits("max")[0]
    assert f'"left": "{first["outline"][0]:.3%}"' in drawn
    assert first["patch_url"] in drawn
    assert f"row {first['row']}, column {first['col']}" in drawn


def test_what_was_understood_is_listed_and_left_out_where_there_is_nothing():
    said = ("took `ema`, 214 of 214 tensors", "column 2 'diagnosis' as class: 7 classes")
    drawn = notes.notes(FakeService(notes=said), "resnet18-birds", True, 1)
    assert leaves(drawn) == ["What was understood", *said]
    assert notes.notes(FakeService(), "resnet18-birds", True, 1) is None
    assert notes.notes(FakeService(), None, False, 0) is None


def test_every_hit_has_room_for_the_map_of_its_image():
    view = shown(3)
    rooms = [part for part in top_images.hits(view, "max")._traverse() if getattr(part, "className", "") == "map-slot"]
    assert [getattr(room, "data-image") for room in rooms] == [str(hit["image"]) for hit in view.hits("max")]
    assert [getattr(room, "data-words") for room in rooms] == [hit["class"] for hit in view.hits("max")]
    assert not any(room.children for room in rooms)


def test_the_picture_has_room_that_says_for_which_unit():
    (room,) = [
        part
        for part in unit_picture.wants(shown(3), "max")._traverse()
        if getattr(part, "className", "") == "wants-room"
    ]
    assert (getattr(room, "data-layer"), getattr(room, "data-unit"), room.children) == ("layer1.0.conv1", "3", None)


def test_a_hit_at_the_bound_says_what_came_before_it():
    drawn = leaves(top_images.hits(shown(37), "max"))
    hit = shown(37).hits("max")[0]
    assert ["6", hit["class"], f"at its bound; {hit['before']:.3g} before it"] in [
        drawn[at : at + 3] for at in range(9)
    ]


def test_a_unit_that_is_never_active_shows_what_comes_nearest_and_waits_to_be_asked_for_its_picture():
    view = shown(11)
    heading = leaves(top_images.hits(view, "max"))[0]
    assert heading.startswith("Never active on these images; these come nearest (−")
    assert '"data-idle": "Never active on these images."' in words(unit_picture.wants(view, "max"))
    assert '"data-idle": ""' in words(unit_picture.wants(shown(3), "max"))


def test_a_constant_unit_has_no_list():
    drawn = words(top_images.hits(shown(42), "max"))
    assert "Always 0.21 on these images" in drawn
    assert "/media/" not in drawn


def test_class_scores_are_called_by_their_classes_and_have_no_positions():
    service, place = FakeService(), {"study": "resnet18-birds", "layer": "fc", "unit": 4}
    assert leaves(unit_modal.title(service, place, 1)[0]) == ["fc", " class goldfinch"]
    drawn = leaves(top_images.hits(shown(4, "fc"), "max"))
    assert drawn[0] == "Images with the highest score for class goldfinch"
    assert not any("row" in text for text in drawn[-30:])
    assert "gives one value for the whole image" in words(top_images.hits(shown(4, "fc"), "max"))
    assert grid.data(service, {"study": "resnet18-birds", "layer": "fc"}, "unit", 1)["names"][4] == "class goldfinch"
    known = {one["name"]: one["names"] for one in layers.layer_list(service, "resnet18-birds", True)["layers"]}
    assert known["fc"][4] == "class goldfinch"
    assert known["conv1"] is None


def test_tokens_apart_from_the_positions_are_named_in_words(monkeypatch):
    info = dataclasses.replace(LAYERS[0], name="blocks.0.mlp:register1")
    monkeypatch.setattr("tests.web.ui.fake.LAYERS", [info])
    place = {"study": "resnet18-birds", "layer": info.name, "unit": 3}
    assert "register token 1" in leaves(unit_modal.title(FakeService(), place, 1)[1])
    assert "register token 1" in leaves(layers.facts(FakeService(), place, True))


def test_a_unit_has_three_parts_wants_saw_answers():
    (columns,) = [unit_modal.body(FakeService(), {**HERE, "unit": 3}, "max", "", 1)]
    assert [column.className for column in columns.children] == ["column wants", "column saw", "column answers"]


def test_hits_that_see_everything_mark_the_position_and_say_so():
    drawn = words(top_images.hits(shown(3, "layer4.1.conv2"), "max"))
    assert "every position sees all of it" in drawn
    assert "/patch/" not in drawn
    assert '"width": "14.286%"' in drawn


def test_before_the_first_image_every_section_says_so():
    view = shown(3, state="running", done=0)
    assert "No image has been through" in words(top_images.hits(view, "max"))
    assert "No value has been seen" in words(distribution.distribution(view, "max"))


def test_a_unit_half_way_says_from_how_many_images():
    service = FakeService(state="running", done=312)
    assert "from 312 of 1,000 images" in words(unit_modal.title(service, {**HERE, "unit": 3}, 1))
    assert "from" not in words(unit_modal.title(FakeService(), {**HERE, "unit": 3}, 1))


def test_a_unit_that_is_not_there_is_told_and_a_closed_modal_is_empty():
    assert "has units 0 to 63, not 64" in words(unit_modal.body(FakeService(), {**HERE, "unit": 64}, "max", "", 1))
    assert unit_modal.body(FakeService(), None, "max", "", 1) is None
    with pytest.raises(BadRequest):
        unit_modal.body(FakeService(), {**HERE, "unit": 3}, "median", "", 1)


def test_layers_are_told_with_type_units_output_and_field():
    service = FakeService()
    (option, *_) = layers.options(service, "resnet18-birds", True)
    assert option["value"] == "conv1"
    assert "Conv2d · 64 units · 64 × 112 × 112" in words(option["label"])
    assert "19 × 19 pixels, every 4" in words(layers.facts(service, HERE, True))
    assert layers.field(LAYERS[-1]) == "the whole image"
    assert layers.layer_list(service, None, True) == {"study": None, "layers": [], "channels": 0}


def test_a_layer_that_was_not_traced_says_raw():
    from dataclasses import replace

    service = FakeService()
    service.layers = lambda study: [replace(LAYERS[0], tap="raw")]
    assert "raw" in words(layers.facts(service, {**HERE, "layer": "conv1"}, True))


def test_grid_data_carry_where_they_belong():
    found = grid.data(FakeService(), HERE, "max", 7)
    assert (found["study"], found["sort"], found["serial"]) == ("resnet18-birds", "max", 7)
    assert grid.data(FakeService(is_ready=False), HERE, "max", 7) is None
    assert grid.data(FakeService(), None, "max", 7) is None


def test_jobs_are_told_in_words():
    drawn = words(jobs.table(FakeService(), 1, "jobs"))
    for said in (
        "waiting, 1 ahead",
        "312 of 1,000 · 42 a second",
        "the image folder is gone",
        "2025-11-24 16:00:00 UTC",
    ):
        assert said in drawn
    assert jobs.table(FakeService(), 1, "study") is None


@pytest.mark.parametrize(
    ("spec", "said", "href"),
    [
        (
            {"kind": "picture", "unit": 3, "units": "3", "method": "gradient_ascent"},
            "Picture of conv1 unit 3 by gradient ascent",
            "/3",
        ),
        (
            {"kind": "pictures", "units": "3,4,5", "method": "gradient_ascent"},
            "Pictures of conv1 3 units by gradient ascent",
            "",
        ),
        (
            {"kind": "map", "unit": 3, "method": "deconvnet", "image": 7},
            "Map of conv1 unit 3 in image 7 by deconvnet",
            "/3",
        ),
        (
            {"kind": "sanity", "unit": 3, "method": "lrp", "image": 7},
            "Sanity check of a map of conv1 unit 3 in image 7 by lrp",
            "/3",
        ),
    ],
)
def test_a_job_of_a_method_says_what_of_what_and_by_which(spec, said, href):
    class One(FakeService):
        def jobs(self, person=None):
            job = {"key": "1" * 32, "state": "queued", "done": 0, "total": 0}
            return [job | {"spec": {"study": "resnet18-birds", "layer": "conv1"} | spec}]

    row = jobs.table(One(), 1, "jobs").children[1].children[1].children[0]
    cell = row.children[0]
    (link,) = [part for part in cell._traverse() if type(part).__name__ == "Link"]
    assert "".join(leaf for leaf in leaves(cell)) == said
    assert link.href == f"/s/resnet18-birds/conv1{href}"


def test_skipped_images_open_on_a_click_only():
    service = FakeService(skipped_images=1200)
    assert skipped_images.listed(service, None, "resnet18-birds") == (False, "")
    is_open, listed = skipped_images.listed(service, 1, "resnet18-birds")
    assert is_open
    assert "and 200 more" in words(listed)


def test_studies_show_their_notice():
    drawn = words(studies.cards(FakeService(names=("a", "b"), notice=UNTRAINED), 1, "home"))
    assert UNTRAINED in drawn
    assert '"grave"' in drawn
    assert "untrained" in drawn
    assert "data-grave" in drawn


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (Place("missing"), "nothing at this address"),
        (Place("study", "nope"), "no study is called 'nope'"),
        (Place("study", "resnet18-birds", "nope"), "no layer called 'nope'"),
        (Place("study", "resnet18-birds", "nope", 3), "no layer called 'nope'"),
        (Place("study", "resnet18-birds", "conv1", 64), "units 0 to 63"),
        (Place("study", "resnet18-birds", "conv1", 63), ""),
        (Place("home"), ""),
    ],
)
def test_a_place_that_is_not_there_says_what_is_missing(place, said):
    trouble = not_found.trouble(FakeService(), place)
    assert said in trouble
    assert bool(said) == bool(trouble)
