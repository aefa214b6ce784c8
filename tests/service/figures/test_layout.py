"""What all figures share; that the page and a notebook draw the same figure is in tests/library."""

from lurk.service.figures.layout import figure, text


def test_labels_stay_text_in_plotly():
    assert text("<b>x</b> & 'y'") == "&lt;b&gt;x&lt;/b&gt; &amp; 'y'"
    assert text("abcdef", 4) == "abc…"


def test_a_figure_is_clear_and_takes_more_layout():
    drawn = figure([{"type": "bar"}], bargap=0)
    assert drawn["data"] == [{"type": "bar"}]
    assert drawn["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"
    assert drawn["layout"]["bargap"] == 0
