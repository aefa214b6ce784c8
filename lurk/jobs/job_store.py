"""The records of all jobs in a store, and the lists by which they are found: of waiting, running and ended jobs.

    job:<key>        the record of a job
    waiting:<lane>   rows of ticket, key and people of the waiting jobs, by ticket
    running          rows of claim, key and lane of the running jobs, by claim
    ended            rows of number and key of the ended jobs, oldest first
    turns:<lane>     when each person last had a turn, as numbers by name

The lists say nothing that the records do not say: a missing or damaged list is made anew from them. So are the lists of
an earlier version, which had a text for each row.
"""

import json
from bisect import insort
from collections.abc import Iterable

from lurk.errors import QueueError
from lurk.jobs.job_record import Entry, Row
from lurk.jobs.lanes import Lane
from lurk.jobs.text_store import Texts
from lurk.jobs.turns import Waiting
from lurk.records import canonical

LISTS = (*(f"waiting:{lane:d}" for lane in Lane), "running", "ended")
EARLIER_NAMES = ("wait:", "run:", "over:", "worker:")
KEPT = 1000


class JobRecords:
    """Job records in a store; whoever changes one does so in a transaction of the store.

    Args:
        texts: The store.
    """

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def get(self, key: str, *, is_strict: bool = False) -> Entry | None:
        """Read a record.

        Args:
            key: Key of the job.
            is_strict: Whether to raise an error if the record is damaged.

        Returns:
            The record; None if there is none, or it is damaged.

        Raises:
            QueueError: It is damaged.
        """
        text = self._texts.get(f"job:{key}")
        entry = None if text is None else Entry.read(text)
        if is_strict and text is not None and entry is None:
            raise QueueError(f"the record of job {key} is damaged; ask for the job again")
        return entry

    def all(self) -> list[Entry]:
        """Read all records; damaged ones are left out."""
        found = [Entry.read(text) for name, text in self._texts.items().items() if name.startswith("job:")]
        return [entry for entry in found if entry]

    def keep(self, entry: Entry) -> None:
        """Write a record, and move its job into the list that its state names; the oldest ended jobs are forgotten."""
        name, row = entry.row
        self._texts.put(f"job:{entry.job.key}", entry.text())
        if entry.listed == entry.row:
            return
        if entry.listed and entry.listed[0] != name:
            self.drop_row(entry.listed[0], entry.job.key)
        rows = [other for other in self._rows(name) if other[1] != entry.job.key]
        insort(rows, row)
        if name == "ended":
            for _, key in rows[:-KEPT]:
                self._texts.drop(f"job:{key}")
            rows = rows[-KEPT:]
        self._write(name, rows)
        entry.listed = name, row

    def drop_row(self, name: str, key: str) -> None:
        """Take a job out of a list."""
        self._write(name, [row for row in self._rows(name) if row[1] != key])

    def waiting(self, lanes: Iterable[int] = Lane) -> list[Waiting]:
        """Return the waiting jobs of some lanes, by lane and ticket."""
        return [
            Waiting(lane, int(ticket), str(key), tuple(map(str, people)))
            for lane in lanes
            for ticket, key, *people in self._rows(f"waiting:{lane:d}")
        ]

    def has_waiting(self, lanes: Iterable[int] = Lane) -> bool:
        """Whether a job waits in one of some lanes."""
        return any(self._rows(f"waiting:{lane:d}") for lane in lanes)

    def running(self) -> dict[str, int]:
        """Return the lanes of the running jobs by key, the first claimed first."""
        return {str(key): int(lane) for _, key, lane in self._rows("running")}

    def turns(self, lane: int) -> dict[str, int]:
        """Return when each person last had a turn in a lane; if that is damaged, nobody has had one."""
        try:
            found = json.loads(self._texts.get(f"turns:{lane:d}") or "{}")
            return {str(person): int(number) for person, number in found.items()}
        except (ValueError, TypeError, AttributeError):
            return {}

    def keep_turns(self, lane: int, turns: dict[str, int]) -> None:
        """Write when each person last had a turn in a lane."""
        self._texts.put(f"turns:{lane:d}", canonical(turns))

    def _rows(self, name: str) -> list[Row]:
        found = _parse(self._texts.get(name))
        if found is None:
            self._make_lists()
            found = _parse(self._texts.get(name))
        return found or []

    def _write(self, name: str, rows: list[Row]) -> None:
        self._texts.put(name, canonical(rows))

    def _make_lists(self) -> None:
        """Make all lists from the records."""
        with self._texts.transaction():
            lists: dict[str, list[Row]] = {name: [] for name in LISTS}
            for name, text in self._texts.items().items():
                entry = Entry.read(text) if name.startswith("job:") else None
                if entry:
                    lists[entry.row[0]].append(entry.row[1])
                elif name.startswith(EARLIER_NAMES):
                    self._texts.drop(name)
            for name, rows in lists.items():
                self._write(name, sorted(rows))


def _parse(text: str | None) -> list[Row] | None:
    """Rows of a list's text, None if it is damaged."""
    try:
        found = json.loads(text or "")
    except ValueError:
        return None
    return found if isinstance(found, list) else None
