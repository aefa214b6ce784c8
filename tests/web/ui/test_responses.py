import json
import math
from dataclasses import dataclass

import numpy as np
import pytest

from lurk.service.urls import Address
from lurk.web.ui.app import create_app
from lurk.web.ui.responses import plain, to_json
from tests.web.ui.fake import FakeService


@dataclass(frozen=True)
class Point:
    x: float
    names: tuple[str, ...]


VALUES = {
    "not a number": [math.nan, math.inf, -math.inf, np.float64("nan"), np.float32("inf"), np.array([1.0, math.nan])],
    "numbers": [
        0.1,
        -0.0,
        1e22,
        5e-324,
        2**53 + 1,
        True,
        np.int64(-3),
        np.bool_(True),
        np.float32(0.1),
        np.float64(0.1),
    ],
    "arrays": [np.arange(6).reshape(2, 3), np.zeros(0), np.array(2.5)],
    "dataclasses": [Point(math.inf, ("a", "b"))],
    "mappings": {1: "one", "é\u2028": "\U0001f600", "nested": {"deep": (1, [2, None])}},
    "addresses": [Address("/media/x"), {"url": Address("/media/y")}],
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("prefix", ["", "/lab"])
def test_values_are_written_as_the_standard_library_writes_them(name, prefix):
    with create_app(FakeService(), prefix=prefix).server.test_request_context(base_url=f"http://localhost{prefix}"):
        written = to_json(VALUES[name])
        assert json.loads(written) == json.loads(json.dumps(plain(VALUES[name]), allow_nan=False))
    assert written.endswith(b"\n")
    assert (f"{prefix}/media/".encode() in written) == (name == "addresses")


def test_a_text_that_is_no_unicode_is_written_as_well():
    assert json.loads(to_json({"path": "caf\udce9", "score": math.nan})) == {"path": "caf\udce9", "score": None}
