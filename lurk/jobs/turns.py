"""In which order jobs of a lane run: persons take turns, and a person's own jobs run first come, first served.

Whose last turn is the longest ago is next; who never had one is before all others. A job that several asked for runs at
the first turn of any of them. Nobody's thousand jobs so delay another's one by more than the job that is under way.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lurk.errors import QueueFullError
from lurk.jobs.lanes import Lane
from lurk.jobs.queue import Limits

REMEMBERED = 200


@dataclass(frozen=True)
class Waiting:
    """A job that waits.

    Args:
        lane: Its lane.
        ticket: Its place among the jobs of its lane, smallest first.
        key: Its key.
        people: Who asked for it, the first one first.
    """

    lane: int
    ticket: int
    key: str
    people: tuple[str, ...] = ("",)


def in_turn(waiting: Sequence[Waiting], turns: Mapping[str, int]) -> Iterator[tuple[Waiting, str]]:
    """The jobs of a lane in the order in which they run, each with whose turn it takes.

    Args:
        waiting: The jobs of one lane, by ticket.
        turns: When each person had the last turn in that lane: numbers that grow.

    Yields:
        (job, person) pairs.
    """
    own: dict[str, deque[Waiting]] = {}
    for job in waiting:
        for person in job.people:
            own.setdefault(person, deque()).append(job)
    circle = deque(sorted(own, key=lambda person: (turns.get(person, -1), own[person][0].ticket)))
    taken: set[str] = set()
    while circle:
        person = circle.popleft()
        jobs = own[person]
        while jobs and jobs[0].key in taken:
            jobs.popleft()
        if jobs:
            job = jobs.popleft()
            taken.add(job.key)
            circle.append(person)
            yield job, person


def places(waiting: Sequence[Waiting], turns: Mapping[int, Mapping[str, int]]) -> dict[str, int]:
    """How many waiting jobs run before each waiting one.

    Args:
        waiting: All waiting jobs, by lane and ticket.
        turns: Each lane's `turns`, as for `in_turn`.

    Returns:
        A number for each key.
    """
    found: dict[str, int] = {}
    for lane in Lane:
        of_lane = [job for job in waiting if job.lane == lane]
        for job, _ in in_turn(of_lane, turns.get(lane, {})):
            found.setdefault(job.key, len(found))
    return found


def after_turn(turns: Mapping[str, int], person: str, number: int) -> dict[str, int]:
    """A lane's turns once a person had one, as number `number`; the latest 200 persons are remembered."""
    now = {**turns, person: number}
    return dict(sorted(now.items(), key=lambda turn: turn[1])[-REMEMBERED:])


def check_room(waiting: Sequence[Waiting], lane: int, person: str, limits: Limits) -> None:
    """Refuse one job more where too many wait; sweeps, of which a study has one, are always let in.

    Args:
        waiting: All waiting jobs.
        lane: Lane of the new one.
        person: Who asks; empty where there is no log-in, and then only the total counts.
        limits: How many may wait.

    Raises:
        QueueFullError: Too many wait.
    """
    if lane == Lane.SWEEP:
        return
    asked = [job for job in waiting if job.lane < Lane.SWEEP]
    own = sum(job.people[:1] == (person,) for job in asked)
    if person and own >= limits.person:
        raise QueueFullError(
            f"queue full: {own} of your jobs wait, and a person may have {limits.person}; {len(asked)} ahead in all; "
            f"wait, cancel some, or raise --queue-limit-person"
        )
    if len(asked) >= limits.total:
        raise QueueFullError(f"queue full, {len(asked)} ahead; wait, cancel some, or raise --queue-limit")
