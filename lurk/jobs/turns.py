"""The order in which the jobs of a lane run: people take turns, and one person's jobs run first come, first served.

The next turn goes to the person whose last turn was longest ago; people who have had none come first. A job that
several people asked for runs at the first turn of any of them. So somebody's single job waits for at most one of the
thousand jobs of somebody else.
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
        people: The people who asked for it, in the order in which they did.
    """

    lane: int
    ticket: int
    key: str
    people: tuple[str, ...] = ("",)


def in_turn(waiting: Sequence[Waiting], turns: Mapping[str, int]) -> Iterator[tuple[Waiting, str]]:
    """Put the jobs of a lane in the order in which they run, each with the person whose turn it takes.

    Args:
        waiting: The jobs of one lane, by ticket.
        turns: When each person last had a turn in that lane, as a number that grows with each turn.

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
    """Count the waiting jobs that run before each waiting one.

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
    """Return a lane's turns after a person had turn `number`; the latest 200 people are remembered."""
    now = {**turns, person: number}
    return dict(sorted(now.items(), key=lambda turn: turn[1])[-REMEMBERED:])


def check_room(waiting: Sequence[Waiting], lane: int, person: str, limits: Limits) -> None:
    """Refuse another job if too many wait; sweeps are always let in, as a study has only one.

    Args:
        waiting: All waiting jobs.
        lane: Lane of the new one.
        person: Who asks; empty if there is no log-in, and then only the total counts.
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
