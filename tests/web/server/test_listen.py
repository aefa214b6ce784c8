import socket

import pytest

from lurk.config.options import DEFAULT_PORT, Settings
from lurk.errors import LurkError
from lurk.web.auth.access import check_open
from lurk.web.server.listen import listen, url_of


def test_a_taken_port_is_named_and_an_unnamed_one_gives_way_to_the_next(monkeypatch):
    with listen(Settings(port=0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(LurkError, match=f"port {port} .*--port"):
            listen(Settings(port=port))
        monkeypatch.setattr("lurk.web.server.listen.DEFAULT_PORT", port)
        with listen(Settings()) as second:
            assert port < second.getsockname()[1] < port + 50


def test_without_a_port_it_is_8050():
    assert DEFAULT_PORT == 8050


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "lab.example"])
def test_an_address_that_is_open_to_others_is_refused_with_the_command_to_use(host):
    with pytest.raises(LurkError, match="ssh -L"):
        check_open(Settings(host=host))
    with pytest.raises(LurkError, match="--host"):
        listen(Settings(host=host))


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_addresses_can_be_opened():
    with listen(Settings(port=0)) as made:
        assert url_of(made, "127.0.0.1") == f"http://127.0.0.1:{made.getsockname()[1]}/"
        assert url_of(made, "0.0.0.0").startswith("http://127.0.0.1:")
        assert url_of(made, "::1").startswith("http://[::1]:")
