"""Fetching a file of weights: soon or not at all, checked, and never half there."""

import hashlib
import re
import threading
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import IO

from lurk.errors import WeightsError
from lurk.storage.atomic_files import replace_file

CONNECT_S, STALL_S = 4.0, 20.0
PIECE_BYTES = 1 << 20


def fetch(url: str, file: Path) -> None:
    """Fetch a file whose name ends in the beginning of its SHA-256, as torchvision's do.

    Args:
        url: Where it is.
        file: Where it is to be.

    Raises:
        WeightsError: It cannot be fetched within a few seconds of silence, or is not what its name says.
    """
    try:
        answer = _open(url)
        file.parent.mkdir(parents=True, exist_ok=True)
        with answer, replace_file(file) as part:
            total = hashlib.sha256()
            while piece := answer.read(PIECE_BYTES):
                part.write(piece)
                total.update(piece)
            _check(total.hexdigest(), file.name)
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise WeightsError(
            f"the weights {file.name} cannot be fetched ({reason}); they belong in {file.parent}"
        ) from error


def _open(url: str) -> IO[bytes]:
    """Connect; given up after a few seconds even where looking up the name takes longer."""
    outcome: list[IO[bytes] | OSError] = []

    def connect() -> None:
        try:
            outcome.append(urllib.request.urlopen(url, timeout=STALL_S))  # noqa: S310 - torchvision's own addresses
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_S)
    if not outcome:
        raise TimeoutError(f"no answer within {CONNECT_S:.0f} s")
    if isinstance(outcome[0], OSError):
        raise outcome[0]
    return outcome[0]


def _check(sha256: str, name: str) -> None:
    said = re.search(r"-([0-9a-f]{8,})\.\w+$", name)
    if said and not sha256.startswith(said[1]):
        raise ValueError(f"what came is not what the name says: its SHA-256 begins with {sha256[:8]}")
