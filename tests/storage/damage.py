"""Damage to the database of a store."""


def database(folder):
    return folder / "cache.db"


def damage(folder):
    """Overwrite the middle of the database, and drop what might mend it."""
    for name in ("cache.db-wal", "cache.db-shm"):
        (folder / name).unlink(missing_ok=True)
    data = bytearray(database(folder).read_bytes())
    data[100:] = b"\xa5" * (len(data) - 100)
    database(folder).write_bytes(data)


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def overwrite(file, at, length):
    data = bytearray(file.read_bytes())
    data[at : at + length] = b"\xa5" * length
    file.write_bytes(data)


DAMAGES = {
    "cut short": cut,
    "emptied": lambda file: file.write_bytes(b""),
    "gone": lambda file: file.unlink(),
    "another file": lambda file: file.write_text("this is no database\n" * 500),
    "its first page spoilt": lambda file: overwrite(file, 0, 100),
    "its pages spoilt": lambda file: overwrite(file, 4096, 1 << 16),
}


def spoil(folder, damage):
    for name in ("cache.db-wal", "cache.db-shm"):
        (folder / name).unlink(missing_ok=True)
    DAMAGES[damage](database(folder))
