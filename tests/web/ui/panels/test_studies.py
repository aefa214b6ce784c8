"""What the cards of the front page say."""

import json

import pytest
from plotly.utils import PlotlyJSONEncoder

from lurk.web.ui.panels import header, studies
from tests.web.ui.fake import UNTRAINED, FakeService


def words(component) -> str:
    return json.dumps(component, cls=PlotlyJSONEncoder, ensure_ascii=False)


def drawn(**state) -> str:
    return words(studies.cards(FakeService(**{"names": ("a", "b"), **state}), 1, "home"))


def test_another_page_draws_no_cards():
    assert studies.cards(FakeService(), 1, "study") is None


def test_a_server_without_a_study_says_how_to_add_one():
    assert "python -m lurk reload" in drawn(names=())


def test_a_card_tells_size_time_and_provenance():
    text = drawn()
    assert "1,000 images · 4 layers · 1,234 units" in text or "1,234 units" in text
    assert "2025-11-24 16:00 UTC" in text
    assert "pretrained · abababab" in text
    assert "SHA-256 " + "ab" * 32 in text
    assert "mean (0.498)" in text
    assert "mean (0.4980392156862745)" in text
    assert "url(/media/fake/sprite/0/0/1)" in text
    assert text.count('"/s/a"') == 1


def test_a_named_study_is_called_by_its_name_and_says_what_it_is():
    text = drawn(label="birds 2")
    assert '"birds 2"' in text
    assert "resnet18 on birds" in text
    assert "birds 2" in words(header.title(FakeService(label="birds 2"), "resnet18-birds"))


def test_a_stale_card_has_a_badge_and_the_reason():
    text = drawn(stale="other weights")
    assert '"stale"' in text
    assert "From an earlier sweep: other weights." in text
    assert '"stale"' not in drawn()


def test_untrained_weights_are_red_and_trained_ones_are_not():
    assert "badge-word grave" in drawn(notice=UNTRAINED)
    assert "badge-word grave" not in drawn()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"state": "waiting"}, "Waiting, 2 ahead"),
        ({"state": "starting", "message": "loading the model"}, "Starting: loading the model"),
        ({"state": "running", "done": 312, "rate": 43.0}, "Sweeping 312 of 1,000 images · 16 s left"),
        ({"state": "running", "done": 312, "rate": 0.05}, "3 h 49 min left"),
        ({"state": "cancelled", "done": 312}, "Stopped at 312 of 1,000 images"),
        ({"state": "failed", "message": "no such file"}, "Failed: no such file"),
        ({"state": "failed"}, "the log of the server says why"),
        ({"state": "done"}, "Complete"),
    ],
)
def test_a_card_tells_the_state_of_the_sweep(state, said):
    assert said in drawn(**state)


def test_only_a_sweep_on_its_way_has_a_bar():
    assert '"Progress"' in drawn(state="running", done=312)
    assert '"Progress"' not in drawn(state="done")


def test_a_study_that_was_never_swept_has_an_empty_card():
    text = drawn(is_ready=False, state="starting", done=0, total=0)
    assert "card-strip waiting" in text
    assert "units" not in text
    assert "swept" not in text


def test_a_name_stays_text():
    assert "<script>" in drawn(label="<script>")  # in a component's text, which the browser never reads as HTML


def test_a_long_preprocessing_is_cut_at_a_word():
    cut = studies.cut("resize, " * 40)
    assert len(cut) <= studies.LONGEST_PREPROCESSING + 2
    assert cut.endswith("resize …")
