"""The type of the file system of a folder: SQLite's databases need one that no other machine mounts."""

from pathlib import Path

SHARED = ("nfs", "cifs", "smb", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs", "lustre", "beegfs")
MOUNTS = Path("/proc/mounts")


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
