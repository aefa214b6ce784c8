"""The waiting lines in a store, and whose turns were when: what the local queue writes of them, and how it is read."""

import json

from lurk.jobs.disk_texts import Texts
from lurk.jobs.lanes import Lane
from lurk.jobs.queue import Job
from lurk.jobs.turns import Waiting
from lurk.records import canonical


def place(lane: int, ticket: int) -> str:
    """Name of a waiting job's text."""
    return f"wait:{lane}:{ticket:015d}"


def told(job: Job) -> str:
    """Text of a waiting job: its key, and who asked for it."""
    return canonical([job.key, *job.people])


def key_of(text: str) -> str:
    """Key of a waiting job, from its text; a key alone is an older version's."""
    return str(json.loads(text)[0]) if text.startswith("[") else text


def waiting(texts: Texts, first: int = 0, end: int = len(Lane)) -> list[Waiting]:
    """The waiting jobs of some lanes.

    Args:
        texts: The store.
        first: From this lane on.
        end: Up to, without, this lane.

    Returns:
        The jobs by lane and ticket.
    """
    found = []
    for name, text in texts.span(f"wait:{first}", f"wait:{end}"):
        key, *people = json.loads(text) if text.startswith("[") else (text, "")  # a key alone: an older version's
        _, lane, ticket = name.split(":")
        found.append(Waiting(int(lane), int(ticket), str(key), tuple(people)))
    return found


def turns(texts: Texts, lane: int) -> dict[str, int]:
    """When each person had the last turn in a lane; where that is damaged everyone begins anew."""
    try:
        found = json.loads(texts.get(f"turns:{lane}") or "{}")
        return {str(person): int(number) for person, number in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def keep_turns(texts: Texts, lane: int, now: dict[str, int]) -> None:
    """Keep a lane's turns."""
    texts.put(f"turns:{lane}", canonical(now))
