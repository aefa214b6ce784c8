"""The secrets that all web processes of a cache share: the key that signs cookies, and the tokens."""

import json
import os
import secrets
import stat
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from lurk.errors import CacheError
from lurk.storage.atomic_files import replace_file

FILE = "keys.json"
SECRET_BYTES = 32


@dataclass(frozen=True)
class Keys:
    """Secrets of 256 bits each, as texts that fit into addresses.

    Args:
        signing: Signs cookies.
        token: Logs a member in.
        admin: Logs an admin in.
    """

    signing: str
    token: str
    admin: str


def shared_keys(cache: Path) -> Keys:
    """The keys of a cache, made on first use; to replace them, remove the file `keys.json` and start again.

    Args:
        cache: The cache directory.

    Returns:
        The keys.

    Raises:
        CacheError: The file cannot be made or read, is damaged, or could be read by others.
    """
    file = cache / FILE
    try:
        if not file.exists():
            _make(file)
        return _read(file)
    except OSError as error:
        raise CacheError(f"cannot use {file}: {error.strerror or error}; choose another cache with --cache") from error


def _make(file: Path) -> None:
    """Write the file, unless another process has just done so."""
    keys = Keys(*(secrets.token_urlsafe(SECRET_BYTES) for _ in fields(Keys)))
    with replace_file(file, is_synced=True, keep_existing=True) as out:
        out.write(json.dumps(asdict(keys)).encode())


def _read(file: Path) -> Keys:
    mode = file.stat().st_mode
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise CacheError(f"{file} could be read by others; remove it and start again, which makes new keys")
    try:
        value = json.loads(file.read_text())
        keys = Keys(**{item.name: str(value[item.name]) for item in fields(Keys)})
        if min(len(secret) for secret in asdict(keys).values()) < SECRET_BYTES:
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise CacheError(f"{file} is damaged; remove it and start again, which makes new keys") from error
    return keys
