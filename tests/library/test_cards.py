import re
from html.parser import HTMLParser

import numpy as np

import lurk
from lurk.service.unit_view import UnitView
from lurk.service.unit_words import number
from lurk.storage.index_writer import write_index
from lurk.storage.webp import encode_view
from lurk.web.ui.panels import top_images
from tests.conftest import make_manifest, make_statistics


class Reader(HTMLParser):
    """Collects tags with their attributes and the text; checks that every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found, self.open, self.text = [], [], ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag != "img":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def cards(index):
    return [index, *index.layers, *(index.unit(layer.name, unit) for layer in index.layers for unit in range(2))]


def test_a_card_needs_no_server_and_no_script(toy_index):
    for shown in cards(lurk.Index(toy_index.folder)):
        html = shown._repr_html_()
        read = Reader(html)
        assert "script" not in {tag for tag, _ in read.found}
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", html)
        for tag, attributes in read.found:
            assert not any(name.startswith("on") for name in attributes)
            if tag == "img":
                assert attributes["src"].startswith(("data:image/webp;base64,", "data:image/jpeg;base64,"))
                assert attributes["alt"]


def test_a_unit_s_card_has_the_page_s_numbers(toy_index):
    index = lurk.Index(toy_index.folder)
    view = UnitView(toy_index, "conv", 0)
    text = Reader(index.unit("conv", 0)._repr_html_()).text
    for hit in view.hits("max"):
        assert number(hit["score"]) in text
    for bar in view.bars("max"):
        assert f"{bar['class']}: {bar['mean']:.4g}" in text
    assert "No picture yet" in text


def test_states_are_told(toy_index):
    index = lurk.Index(toy_index.folder)
    never = Reader(index.unit("conv", 1)._repr_html_()).text
    assert "dead" in never
    assert "Never active on these images; these come nearest" in never
    assert "saturated" in Reader(index.unit("conv", 2)._repr_html_()).text
    assert "1 dead, 1 saturated" in Reader(index.layer("conv")._repr_html_()).text


def test_a_unit_s_images_of_one_value_are_said_to_be_so_in_card_figures_page_and_json(tmp_path):
    state = make_statistics()[0].state()
    state["top_max_before"][2] = 6.5
    with write_index(tmp_path, make_manifest(), [(f"{n}.png", n % 2) for n in range(6)]) as writer:
        for image in range(6):
            writer.put_view(image, encode_view(np.zeros((8, 8, 3), np.uint8)))
        writer.finish(state, done=6, skipped=())
    unit, said = lurk.Index(writer.folder).unit("conv", 2), "All 4 have exactly the same highest value"
    assert Reader(unit._repr_html_()).text.count("exactly the same") == 1
    assert said in Reader(unit._repr_html_()).text
    assert said in unit.plot_top().layout.title.text
    assert said in str(top_images.hits(unit.view, "max"))
    assert unit.view.to_json()["ties_max"].startswith(said)
    assert unit.view.to_json()["ties_mean"] == ""
    assert "exactly the same" not in unit.plot_top("mean").layout.title.text + str(
        top_images.hits(unit.view, "mean").children[1:]
    )


def test_warnings_unfinished_sweeps_and_skipped_images_are_told(tmp_path):
    manifest = make_manifest(9, notice="the weights are <untrained>")
    with write_index(tmp_path, manifest, [(f"{n}.png", 0) for n in range(9)]) as writer:
        statistics, _ = make_statistics(6)
        writer.checkpoint(statistics.state(), done=7, skipped=((6, "6.png", "cut short"),))
        index = lurk.Index(writer.folder)
        for shown in (index, index.layer("fc")):
            read = Reader(shown._repr_html_())
            assert "the weights are <untrained>" in read.text
            assert "from 7 of 9 images" in read.text
            assert "1 image could not be used" in read.text
            assert any(attributes.get("title") == "6.png: cut short" for _, attributes in read.found)


def test_a_layer_of_many_units_has_an_image_for_each_256(tmp_path):
    from dataclasses import replace

    from lurk.sweeps.statistics import Statistics
    from tests.conftest import LAYERS

    manifest = make_manifest(layers=(replace(LAYERS[1], units=300),))
    with write_index(tmp_path, manifest, [(f"{n}.png", 0) for n in range(6)]) as writer:
        writer.finish(Statistics(300, 4, 3).state(), done=0, skipped=())
        read = Reader(lurk.Index(writer.folder).layer("fc")._repr_html_())
    assert [attributes["alt"] for tag, attributes in read.found if tag == "img"] == [
        "units 0 to 255",
        "units 256 to 299",
    ]


def test_a_unit_s_card_lists_by_mean_as_well(toy_index):
    view, card = UnitView(toy_index, "conv", 0), lurk.Index(toy_index.folder).unit("conv", 0)._repr_html_()
    by_mean = Reader("".join(re.findall("<details.*?</details>", card))).text
    assert "Images that excite this unit most on average" in by_mean
    for hit in view.hits("mean"):
        assert number(hit["score"]) in by_mean
    for bar in view.bars("mean"):
        assert f"{bar['class']}: {bar['mean']:.4g}" in by_mean
    assert "<details" not in lurk.Index(toy_index.folder).unit("fc", 0)._repr_html_()
