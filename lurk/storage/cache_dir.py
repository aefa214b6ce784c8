"""The cache directory: made, checked and closed to other users; and whether other machines may have it mounted too."""

import os
import stat
import tempfile
from pathlib import Path

from lurk.errors import CacheError
from lurk.records import digest

SHARED = ("nfs", "cifs", "smb", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs", "lustre", "beegfs")
MOUNTS = Path("/proc/mounts")


def prepare_cache(path: str | os.PathLike[str]) -> Path:
    """Make the cache directory, or check it, and close it to other users.

    Args:
        path: The directory; its parents are made as well.

    Returns:
        Its absolute path; its mode is 0700.

    Raises:
        CacheError: It has no name, cannot be made or written, is another user's, is open to everyone, or is a folder
            that holds other things: the root of the file system or the home folder.
    """
    if not os.fspath(path):
        raise CacheError("--cache is empty; name a folder of its own")
    cache = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - resolve() would follow a link, which then could not be named
    if cache in (Path(cache.anchor), Path.home()):
        raise CacheError(f"the cache directory {cache} holds other things; choose a folder of its own with --cache")
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix":
            _close_to_others(cache)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CacheError(f"cannot use the cache directory {cache}: {reason}; choose another with --cache") from error
    return cache


def _close_to_others(cache: Path) -> None:
    found = cache.stat()
    user = os.geteuid()
    if user not in (0, found.st_uid):  # a container's root may be given a folder of the host's user
        raise CacheError(
            f"the cache directory {cache} belongs to another user (number {found.st_uid}); choose another with --cache"
        )
    if found.st_mode & stat.S_IWOTH:
        raise CacheError(
            f"the cache directory {cache} can be changed by everyone; choose another with --cache, "
            f"or, if nobody has: chmod 700 {cache}"
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        cache.chmod(0o700)


def machine_folder(cache: Path) -> Path:
    """Where SQLite files lie: in the cache directory, or on this machine if other machines mount the directory too."""
    if not is_shared(cache):
        return cache
    user = os.geteuid() if os.name == "posix" else 0
    return prepare_cache(Path(tempfile.gettempdir(), f"lurk-{user}-{digest(str(cache))[:12]}"))


def file_system(path: Path) -> str:
    """Type of the file system that holds a folder, empty if that is unknown."""
    if not MOUNTS.exists():
        return ""
    found = [line.split()[1:3] for line in MOUNTS.read_text().splitlines()]
    holding = [(point, kind) for point, kind in found if path.is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]))[1] if holding else ""


def is_shared(path: Path) -> bool:
    """Whether other machines may have the file system mounted as well."""
    return file_system(path).startswith(SHARED)
