"""The ways in: what `--auth` may say, the shared keys, the password file, the proxy's header."""

import stat
import subprocess
import sys

import pytest

from lurk.config.options import Settings
from lurk.errors import CacheError, LurkError
from lurk.service.person import Person, is_name
from lurk.storage.cache_dir import prepare_cache
from lurk.web.auth import passwords
from lurk.web.auth.access import check_open, open_access
from lurk.web.auth.signing_keys import FILE, shared_keys


@pytest.fixture
def cache(tmp_path):
    return prepare_cache(tmp_path / "cache")


def access(cache, **given):
    return open_access(Settings(**given), cache)


def test_by_default_there_is_no_log_in_and_no_key_is_made(cache):
    assert access(cache) is None
    assert access(cache, auth="none") is None
    assert not (cache / FILE).exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", ""])
@pytest.mark.parametrize("auth", [None, "none"])
def test_an_open_address_without_a_log_in_is_refused_with_the_command_to_use(host, auth):
    with pytest.raises(LurkError, match=rf"--host {host}.*--auth token.*ssh -L 8050"):
        check_open(Settings(host=host, auth=auth))


def test_an_open_address_with_a_log_in_is_served_but_never_with_debug():
    check_open(Settings(host="0.0.0.0", auth="token"))
    check_open(Settings(debug=True))
    with pytest.raises(LurkError, match="--debug"):
        check_open(Settings(host="0.0.0.0", auth="token", debug=True))


@pytest.mark.parametrize(
    "auth",
    ["tokens", "token:x", "password", "password:", "header", "header:X-User", "header:X-User@", "none:1", "x" * 999],
)
def test_another_way_in_is_named_with_those_there_are(cache, auth):
    with pytest.raises(LurkError, match="--auth") as raised:
        access(cache, auth=auth)
    assert len(str(raised.value)) < 400


def test_keys_are_random_long_shared_and_closed_to_others(cache, tmp_path):
    keys = shared_keys(cache)
    assert shared_keys(cache) == keys
    assert stat.S_IMODE((cache / FILE).stat().st_mode) == 0o600
    assert len({keys.signing, keys.token, keys.admin}) == 3
    assert min(len(secret) for secret in (keys.signing, keys.token, keys.admin)) * 6 >= 192
    assert shared_keys(prepare_cache(tmp_path / "other")).token != keys.token
    assert [file.name for file in cache.iterdir()] == [FILE]


def test_processes_that_start_at_once_share_one_set_of_keys(cache):
    code = "import sys, pathlib, lurk.web.auth.signing_keys as keys; print(keys.shared_keys(pathlib.Path(sys.argv[1])))"
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(cache)], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert len({one.communicate()[0] for one in running}) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"signing": "a", "token": "b", "admin": "c"}'])
def test_damaged_keys_are_reported_and_left(cache, content):
    shared_keys(cache)
    (cache / FILE).write_text(content)
    with pytest.raises(CacheError, match="remove it"):
        shared_keys(cache)
    assert (cache / FILE).read_text() == content


def test_keys_that_others_could_read_are_refused(cache):
    shared_keys(cache)
    (cache / FILE).chmod(0o644)
    with pytest.raises(CacheError, match="read by others"):
        shared_keys(cache)


def test_the_token_lets_members_in_and_the_other_one_admins(cache):
    keys, way = shared_keys(cache), access(cache, auth="token")
    member, admin = way.by_token(keys.token), way.by_token(keys.admin)
    assert (member.role, admin.role) == ("member", "admin")
    assert way.by_token(keys.token).name != member.name
    for wrong in ("", "x", keys.token[:-1], keys.token + "a", keys.signing, "ü\udc80"):
        assert way.by_token(wrong) is None
    assert way.by_cookie(member.name, "member", way.stamp(member)) == member
    assert way.by_cookie(member.name, "admin", way.stamp(member)) is None
    assert way.start_url("http://h/").splitlines()[0] == f"http://h/?token={keys.token}"


@pytest.fixture
def people(tmp_path):
    file = tmp_path / "people.txt"
    lines = [
        passwords.line("ann", "admin", "correct horse"),
        "",
        "# looks only",
        passwords.line("vic", "viewer", "x" * 8),
    ]
    file.write_text("\n".join(lines) + "\n")
    file.chmod(0o600)
    return file


def test_the_password_file_says_who_is_let_in_as_what(cache, people):
    way = access(cache, auth=f"password:{people}")
    assert way.by_password("ann", "correct horse") == Person("ann", "admin")
    assert way.by_password("vic", "x" * 8) == Person("vic", "viewer")
    for name, password in (("ann", "x" * 8), ("ann", ""), ("", ""), ("bob", "correct horse"), ("Ann", "correct horse")):
        assert way.by_password(name, password) is None
    assert way.by_token("x") is None


def test_a_change_of_the_file_holds_at_once(cache, people):
    way = access(cache, auth=f"password:{people}")
    ann, stamp = Person("ann", "admin"), way.stamp(Person("ann", "admin"))
    assert way.by_cookie("ann", "admin", stamp) == ann
    kept = people.read_text()
    people.write_text(kept.replace("ann admin", "ann viewer"))
    assert way.by_cookie("ann", "admin", stamp) == Person("ann", "viewer")
    people.write_text(passwords.line("ann", "admin", "another one") + "\n")
    assert way.by_cookie("ann", "admin", stamp) is None
    people.write_text("spoilt")
    assert way.by_cookie("ann", "admin", stamp) is None
    people.write_text(kept)
    assert way.by_cookie("ann", "admin", stamp) == ann


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann admin",
        "ann boss scrypt:32768:8:1$aaaaaaaaaaaaaaaa$" + "0" * 128,
        "ann admin plain$a$b",
        "ann admin pbkdf2:sha256:1$aaaaaaaa$" + "0" * 64,
        "ann admin scrypt:9999999:99:9$aaaaaaaaaaaaaaaa$" + "0" * 128,
        "an:n admin scrypt:32768:8:1$aaaaaaaaaaaaaaaa$" + "0" * 128,
    ],
)
def test_a_line_that_is_none_is_named(cache, tmp_path, text):
    (tmp_path / "p").write_text(text)
    with pytest.raises(LurkError, match=r"line 1 of|names nobody"):
        access(cache, auth=f"password:{tmp_path / 'p'}")


def test_a_password_file_that_is_not_there_or_open_to_all_is_refused(cache, people):
    with pytest.raises(LurkError, match=r"cannot read the password file .*nowhere"):
        access(cache, auth="password:nowhere")
    people.chmod(0o666)
    with pytest.raises(LurkError, match="chmod 600"):
        access(cache, auth=f"password:{people}")


@pytest.mark.parametrize(
    ("name", "role", "password"), [("a b", "member", "x" * 9), ("a", "boss", "x" * 9), ("a", "admin", "x")]
)
def test_no_line_is_made_of_nonsense(name, role, password):
    with pytest.raises(LurkError):
        passwords.line(name, role, password)


def test_passwords_are_kept_as_salted_scrypt():
    first, second = (passwords.line("ann", "member", "correct horse") for _ in range(2))
    assert first != second
    assert first.startswith("ann member scrypt:32768:8:1$")
    assert "correct" not in first


def test_a_name_is_plain():
    assert all(is_name(name) for name in ("ann", "ann.b@example.org", "Zoë"))
    assert not any(is_name(name) for name in ("", "a b", "a,b", "<b>", "a\n", "x" * 65))


def test_only_a_listed_proxys_header_counts(cache):
    way = access(cache, auth="header:X-Remote-User@127.0.0.1,10.1.0.0/16", admins="ann, zoe")
    assert way.by_header("127.0.0.1", "bob") == Person("bob", "member")
    assert way.by_header("10.1.2.3", "ann") == Person("ann", "admin")
    assert way.by_header("::ffff:10.1.2.3", " ann ") == Person("ann", "admin")
    for peer, name in (("10.2.0.1", "ann"), ("", "ann"), ("x", "ann"), ("127.0.0.1", ""), ("127.0.0.1", "ann,bob")):
        assert way.by_header(peer, name) is None


@pytest.mark.parametrize(
    "auth", ["header:X User@127.0.0.1", "header:@127.0.0.1", "header:X@proxy", "header:X@0.0.0.0/0"]
)
def test_a_header_or_proxy_that_makes_no_sense_is_refused(cache, auth):
    with pytest.raises(LurkError, match="--auth header"):
        access(cache, auth=auth)


def test_the_command_makes_a_file_that_is_read(cache, tmp_path):
    file = tmp_path / "people"
    for name, role in (("ann", "admin"), ("bob", "member"), ("ann", "viewer")):
        command = [sys.executable, "-m", "lurk", "password", name, "--role", role, "--to", str(file)]
        subprocess.run(command, input="long enough\n", text=True, check=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {name: entry.person.role for name, entry in passwords.read(file).items()} == {
        "ann": "viewer",
        "bob": "member",
    }
