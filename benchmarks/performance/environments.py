"""The folders that the peers are installed into, each with its own pins; the only place that installs anything."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "requirements-bench.txt"
FOLDER = ROOT / ".bench"


def groups() -> dict[str, list[str]]:
    """The pins of each peer: the lines below a comment that is its name."""
    found = {}
    for block in PINS.read_text().split("\n\n"):
        first, *pins = block.strip().splitlines()
        if pins and not pins[0].startswith("#"):
            found[first.removeprefix("# ")] = pins
    return found


def environment(peer: str) -> Path:
    """The folder of a peer, with its pins installed; installed anew if the pins have changed."""
    pins, folder = groups()[peer], FOLDER / peer
    stamp = folder / "pins.txt"
    if not stamp.is_file() or stamp.read_text().splitlines() != pins:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(folder)]
        subprocess.run([*command, *pins], check=True)
        stamp.write_text("\n".join(pins))
    return folder
