"""docs/scale.md tells the truth: its commands are understood, its figures follow from the measured rate."""

import re
import shlex
from pathlib import Path

import pytest

from lurk.cli import _parser
from lurk.commands import COMMANDS
from lurk.config.options import settings_from

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "scale.md").read_text()
LINES = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
MEASURED = 17.0


def tables():
    """Rows of figures of the tables, as texts."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("|")]
    return [row for row in rows if re.fullmatch(r"[0-9.]+", row[1])]


def test_every_line_of_every_block_is_known():
    known = ("python app.py", "python -m lurk ", "CUDA_VISIBLE_DEVICES=", "redis-server ", "export LURK_QUEUE=")
    assert all(line.startswith(known) for line in LINES), LINES


@pytest.mark.parametrize("line", [line for line in LINES if "python " in line])
def test_a_command_is_understood(line):
    words = [word for word in shlex.split(line) if not word.startswith("CUDA_")]
    arguments = words[2:] if words[1] == "app.py" else words[3:]
    if not arguments or arguments[0] not in COMMANDS:
        arguments = ["serve", *arguments]
    (exported,) = [line.partition("=")[2] for line in LINES if line.startswith("export ")]
    settings = settings_from(vars(_parser().parse_args(arguments)), {"LURK_QUEUE": exported})
    assert settings.queue == exported


def test_the_redis_of_the_page_is_started_with_what_the_tests_start_it_with():
    (line,) = [line for line in LINES if line.startswith("redis-server")]
    assert "--requirepass" in line
    assert "--appendonly yes --appendfsync always" in line


def test_hours_follow_from_the_rate():
    rows = [row for row in tables() if "machine" in row[0] or "worker" in row[0]]
    assert len(rows) == 4
    for row in rows:
        machines = int(row[0].split()[0]) if "such machines" in row[0] else 1
        assert float(row[1]) == machines * MEASURED
        assert float(row[2]) == round(1e6 / float(row[1]) / 3600, 1), row


def test_costs_follow_from_the_rate_and_the_price():
    rows = [row for row in tables() if re.fullmatch(r"[0-9.]+", row[0])]
    assert len(rows) == 3
    for price, cost, rate in ([float(cell) for cell in row] for row in rows):
        assert cost == round(1e6 / MEASURED / 3600 * price, 2)
        assert rate == round(MEASURED * 2.0 / price)


def test_the_readme_leads_there():
    assert "docs/scale.md" in (ROOT / "README.md").read_text()
