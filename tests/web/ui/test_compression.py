import gzip

import brotli
import pytest

from lurk.web.ui.app import create_app
from lurk.web.ui.compression import KEPT, SCRIPTS, ScriptCache
from tests.web.ui.fake import FakeService

GRID = "/api/v1/studies/resnet18-birds/layers/conv1/units"


@pytest.fixture(scope="module")
def client():
    return create_app(FakeService()).server.test_client()


@pytest.mark.parametrize(
    ("accepted", "name", "undo"), [("gzip", "gzip", gzip.decompress), ("gzip, br", "br", brotli.decompress)]
)
@pytest.mark.parametrize("path", ["/_dash-layout", GRID, "/assets/lurk.css", "/vendor/bootstrap.min.css"])
def test_texts_are_compressed_and_are_what_they_were(client, path, accepted, name, undo):
    plain = client.get(path, buffered=True)
    packed = client.get(path, headers={"Accept-Encoding": accepted}, buffered=True)
    assert packed.headers["Content-Encoding"] == name
    assert undo(packed.data) == plain.data
    assert len(packed.data) < len(plain.data)
    assert "Content-Encoding" not in plain.headers
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_images_are_never_compressed_and_do_not_vary(client):
    answer = client.get("/media/fake/view/1", headers={"Accept-Encoding": "gzip, br"})
    assert answer.mimetype == "image/webp"
    assert "Content-Encoding" not in answer.headers
    assert "Vary" not in answer.headers
    assert "immutable" in answer.headers["Cache-Control"]


def test_what_nobody_asked_to_be_compressed_is_not(client):
    for accepted in ("", "identity", "zstd"):
        assert "Content-Encoding" not in client.get("/", headers={"Accept-Encoding": accepted}).headers


def test_only_scripts_of_packages_are_kept_and_not_too_many():
    kept = ScriptCache()
    kept.set("br;/api/v1/studies?", b"private")
    assert kept.get("br;/api/v1/studies?") is None
    for number in range(KEPT + 5):
        kept.set(f"br;{SCRIPTS}{number}", b"x")
    assert sum(kept.get(f"br;{SCRIPTS}{number}") is not None for number in range(KEPT + 5)) == KEPT
