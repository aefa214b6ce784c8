import pytest

from lurk.library.svg import bars_svg, histogram_svg
from lurk.service.figures.class_bars import class_bars
from lurk.service.figures.distribution import histogram
from tests.library.test_cards import Reader


@pytest.mark.parametrize("overall", [None, -1.0, 2.0])
def test_bars_are_as_long_as_their_means(overall):
    bars = [{"class": name, "mean": mean, "n": 3, "half_width": 0.5} for name, mean in (("a", 4.0), ("b", -2.0))]
    read = Reader(bars_svg(class_bars(bars, overall)))
    widths = [float(attributes["width"]) for tag, attributes in read.found if tag == "rect"]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.11)
    lines = [attributes for tag, attributes in read.found if tag == "line"]
    assert len(lines) == 2 + (overall is not None)
    unit = widths[0] / 4
    assert float(lines[0]["x2"]) - float(lines[0]["x1"]) == pytest.approx(unit, abs=0.11)
    if overall is not None:
        zero = next(float(attributes["x"]) for tag, attributes in read.found if tag == "rect")
        assert float(lines[-1]["x1"]) == pytest.approx(zero + overall * unit, abs=0.3)


def test_heights_of_the_histogram_are_logarithmic():
    read = Reader(histogram_svg(histogram([0.0, 1.0, 2.0, 3.0], [10.0, 100.0, 1000.0])))
    tall = [float(attributes["height"]) for tag, attributes in read.found if tag == "rect"]
    assert tall[1] - tall[0] == pytest.approx(tall[2] - tall[1], abs=0.11)
    assert "0 to 1: 10 positions" in read.text


def test_a_bar_of_less_than_one_position_is_no_negative_height():
    read = Reader(histogram_svg(histogram([0.0, 1.0, 2.0], [0.01, 5.0])))
    assert all(float(attributes["height"]) >= 0 for tag, attributes in read.found if tag == "rect")
