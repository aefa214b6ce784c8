"""Downloads a file of weights: gives up after a few silent seconds, and checks the file before it takes its place."""

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
CHUNK_BYTES = 1 << 20


def fetch(url: str, file: Path) -> None:
    """Download a file whose name ends in the first digits of its SHA-256, as torchvision's do.

    Args:
        url: Where to download it from.
        file: Where to put it.

    Raises:
        WeightsError: The server does not answer within 4 seconds or is silent for 20, or the SHA-256 is another one.
    """
    try:
        answer = _open(url)
        file.parent.mkdir(parents=True, exist_ok=True)
        with answer, replace_file(file) as out:
            total = hashlib.sha256()
            while chunk := answer.read(CHUNK_BYTES):
                out.write(chunk)
                total.update(chunk)
            _check(total.hexdigest(), file.name)
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise WeightsError(
            f"the weights {file.name} cannot be fetched ({reason}); they belong in {file.parent}"
        ) from error


def reach(url: str) -> None:
    """Open an address and close it again; an OSError if it does not answer within 4 seconds."""
    _open(url).close()


def _open(url: str) -> IO[bytes]:
    """Connect in a thread, as the look-up of a host name has no time limit of its own."""
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
    expected = re.search(r"-([0-9a-f]{8,})\.\w+$", name)
    if expected and not sha256.startswith(expected[1]):
        raise ValueError(f"what came is not what the name says: its SHA-256 begins with {sha256[:8]}")
