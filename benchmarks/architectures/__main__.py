"""What works with which network: a table of many architectures and of what the project shows of each.

python -m benchmarks.architectures [--only REGEX] [--json FILE] [--seconds 600]

Each network runs in a process of its own, with a limit of CPU time. A cell is `ok`, with a remark in brackets;
`refused: …`, the line that a user gets; or `FAULT: …`. With --json, each finished network is written to the file, and a
network that is in it is not run again. The exit status is 1 if any cell is a fault.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch

from benchmarks.architectures.case import Case, Fault
from benchmarks.architectures.checks import CHECKS
from benchmarks.architectures.networks import NETWORKS
from lurk.errors import LurkError

Row = dict[str, str]
USED = "CPU s"


def main() -> int:
    given = arguments()
    if given.one:
        print(json.dumps(checked(given.one)))
        return 0
    rows: dict[str, Row] = json.loads(given.json.read_text()) if given.json and given.json.exists() else {}
    wanted = [name for name in NETWORKS if re.search(given.only, name)]
    for number, name in enumerate(wanted):
        if name not in rows:
            rows[name] = in_a_process(name, given.seconds)
            if given.json:
                given.json.write_text(json.dumps(rows, indent=1))
        print(f"{number + 1} of {len(wanted)}: {name}: {verdict(rows[name])}", file=sys.stderr, flush=True)
    show({name: rows[name] for name in wanted})
    return int(any(cell.startswith("FAULT") for name in wanted for cell in rows[name].values()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="REGEX", help="networks in whose names it is found")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where results are kept")
    parser.add_argument("--seconds", type=int, default=600, help="limit of CPU time for a network")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def in_a_process(name: str, seconds: int) -> Row:
    command = [sys.executable, "-m", "benchmarks.architectures", "--one", name]
    before = children_cpu_s()
    limit = partial(resource.setrlimit, resource.RLIMIT_CPU, (seconds, seconds))
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=False)
    try:
        row: Row = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        row = {"load": f"FAULT: the process ended with {done.returncode}: {last[:200]}"}
    return row | {USED: f"{children_cpu_s() - before:.0f}"}


def children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def checked(name: str, titles: Iterable[str] = tuple(CHECKS)) -> Row:
    """Run some checks on a network."""
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    cases: list[Case] = []
    with tempfile.TemporaryDirectory() as cache:
        row = {"load": cell(partial(loaded, name, cache, cases))}
        if not row["load"].startswith("ok"):
            return row
        return row | {title: cell(partial(CHECKS[title], cases[0])) for title in titles}


def loaded(name: str, cache: str, cases: list[Case]) -> str:
    sample = NETWORKS[name]
    cases.append(Case(sample, sample.make(), cache))
    return "" if cases[0].model.layers else "no layers"


def cell(check: Callable[[], str]) -> str:
    try:
        remark = check()
    except Fault as fault:
        return f"FAULT: {fault}"
    except LurkError as error:
        text = str(error)
        return f"refused: {text}" if "\n" not in text and len(text) <= 300 else f"FAULT: a long refusal: {text[:200]}"
    except Exception as error:  # whatever a network makes go wrong is what this is to show
        return f"FAULT: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    return f"ok ({remark})" if remark else "ok"


def verdict(row: Row) -> str:
    faults = [f"{title}: {text}" for title, text in row.items() if text.startswith("FAULT")]
    refused = [f"{title}: {text}" for title, text in row.items() if text.startswith("refused")]
    return "; ".join(faults or refused) or "ok"


def show(rows: dict[str, Row]) -> None:
    titles = ["load", *CHECKS, USED]
    print(f"| network | {' | '.join(titles)} |\n|{'---|' * (len(titles) + 1)}")
    for name, row in rows.items():
        cells = [row.get(title, "").replace("|", "\\|") for title in titles]
        print(f"| {name} | {' | '.join(cells)} |")
    faults = sum(text.startswith("FAULT") for row in rows.values() for text in row.values())
    print(f"\n{len(rows)} networks, {faults} faults, {sum(int(row[USED]) for row in rows.values())} s of CPU time.")


if __name__ == "__main__":
    sys.exit(main())
