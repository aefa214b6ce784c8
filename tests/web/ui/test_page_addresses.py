import pytest

from lurk.web.ui.page_addresses import MISSING, Place, read, write


@pytest.mark.parametrize(
    ("study", "layer", "unit"),
    [("birds", None, None), ("birds", "layer1.0.conv1", None), ("a b", "odd/name:2", 12), ("ü%", "x", 0)],
)
def test_what_is_written_is_read_again(study, layer, unit):
    assert read(write(study, layer, unit)) == Place("study", study, layer, unit)


def test_the_short_addresses():
    assert read("/") == read("") == Place("home")
    assert read("/jobs") == read("/jobs/") == Place("jobs")


@pytest.mark.parametrize(
    "path", ["/s", "/s//x", "/s/a/b/c", "/s/a/b/-1", "/s/a/b/1/2", "/x/a", "/s/a/b/²", "/s/a/b/" + "9" * 30]
)
def test_other_addresses_are_missing(path):
    assert read(path) == MISSING
