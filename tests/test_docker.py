"""Dockerfile, compose file and code say the same: ports, paths, user, commands, options."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lurk.commands import COMMANDS
from lurk.config.options import DEFAULT_PORT, Settings, settings_from
from lurk.web.server.web_process import main as is_alive

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = (ROOT / "compose.yaml").read_text()
ELSEWHERE = {"auth", "queue"} - {item.name for item in dataclasses.fields(Settings)}


def lines() -> list[tuple[str, str]]:
    text = "\n".join(line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", text)
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


def last(instruction: str) -> str:
    return [text for name, text in lines() if name == instruction][-1]


def environment() -> dict[str, str]:
    found = dict(pair.split("=", 1) for name, text in lines() if name == "ENV" for pair in text.split())
    return {name: value.replace("${DEVICE}", "cpu") for name, value in found.items()}


def options(text: str) -> set[str]:
    return {name.lower() for name in re.findall(r"\bLURK_([A-Z_]+)\b", text)}


def test_every_variable_is_an_option():
    known = {item.name for item in dataclasses.fields(Settings)} | ELSEWHERE
    assert options((ROOT / "Dockerfile").read_text()) <= known
    assert options(COMPOSE) <= known


def test_the_images_options_are_what_the_code_takes():
    settings = settings_from({}, environment())
    assert (settings.host, settings.port, settings.device) == ("0.0.0.0", DEFAULT_PORT, "cpu")
    assert (settings.log, settings.no_browser) == ("json", True)
    assert settings.cache == "/data/cache"


def test_ports_agree():
    assert last("EXPOSE") == environment()["LURK_PORT"] == str(DEFAULT_PORT)
    assert re.findall(r"^\s+- \$\{PUBLISH:-127\.0\.0\.1:(\d+)\}:(\d+)$", COMPOSE, re.MULTILINE) == [("8050", "8050")]
    assert COMPOSE.count("ports:") == 1
    assert f"127.0.0.1:{DEFAULT_PORT}" in last("HEALTHCHECK")


def test_the_user_is_the_same_number_everywhere_and_not_root():
    user = last("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert f'user: "{user}"' in COMPOSE
    assert f"--chown={user}" in (ROOT / "Dockerfile").read_text()
    number, group = user.split(":")
    assert f"-o {number} -g {group}" in (ROOT / "Dockerfile").read_text()


def test_paths_agree():
    volumes = set(json.loads(last("VOLUME")))
    mounted = set(re.findall(r"^\s+- (?:\w+|\$\{[^}]+\}):(/data/\w+)(?::ro)?$", COMPOSE, re.MULTILINE))
    assert volumes < mounted
    assert mounted - volumes == {"/data/images"}
    assert environment()["LURK_CACHE"] in volumes
    for place in mounted:
        assert place in (ROOT / "Dockerfile").read_text()


def test_commands_are_those_of_the_program():
    assert json.loads(last("CMD")) == ["python", "app.py"]
    assert re.findall(r"^    command: \[python, -m, lurk, (\w+)\]$", COMPOSE, re.MULTILINE) == ["worker"]
    assert "worker" in COMMANDS


def test_the_health_check_is_red_where_nothing_answers():
    command = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    assert command[:3] == ["python", "-m", "lurk.web.server.web_process"]
    assert is_alive(["http://127.0.0.1:9/"]) == 1


def test_what_is_copied_is_there_and_nothing_else_is_sent():
    copied = {word for name, text in lines() if name == "COPY" and "--from" not in text for word in text.split()[:-1]}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert all((ROOT / place).exists() for place in copied)
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert "*" in ignored


def test_nothing_is_fetched_from_a_place_that_is_written_down_and_nothing_is_secret():
    for text in ((ROOT / "Dockerfile").read_text(), COMPOSE):
        assert not re.findall(r"https?://(?!127\.0\.0\.1)", text)
        assert not re.findall(r"(?i)(password|secret|token)\w*[=:] *[\"']?[A-Za-z0-9]{6,}", text)


def test_every_service_is_locked_down():
    for wanted in ("read_only: true", "cap_drop: [ALL]", '"no-new-privileges:true"', "tmpfs:", "init: true"):
        assert COMPOSE.count(wanted) == 2, wanted  # what page and workers share, and Redis
    assert "profiles: [scale]" in COMPOSE
    assert "privileged" not in COMPOSE.replace("no-new-privileges", "")


@pytest.mark.skipif(shutil.which("hadolint", path=str(Path(sys.executable).parent)) is None, reason="no hadolint")
def test_hadolint_finds_nothing():
    command = [str(Path(sys.executable).parent / "hadolint"), str(ROOT / "Dockerfile")]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stdout) == (0, "")
