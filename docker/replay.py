"""Follows the Dockerfile's steps without a container engine: `sudo python docker/replay.py BASE FOLDER`.

BASE is a root file system in place of the base image: `debootstrap --variant=minbase
--include=python3,python3-venv,ca-certificates bookworm BASE`. Each stage is a copy of it; RUN runs in a chroot; CMD
runs as the image's user, without capabilities, the root file system mounted read-only, /tmp in memory, until the health
check is green; then it is stopped. Everything happens in mount namespaces of its own and leaves nothing behind but
FOLDER. Only RUN sees the builder's own pip configuration.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LENT = (
    "/etc/resolv.conf",
    "/etc/pip.conf",
    "/etc/xdg/pip",
    "/etc/ssl/certs",
    "/opt/wheels",
    "/opt/pypi",
    "/opt/pypi-more",
)
HEALTHY_S, LEAVE_S = 120, 30


def instructions(text: str) -> list[tuple[str, str]]:
    """(instruction, arguments) of a Dockerfile, its lines joined and its comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split()[0].upper(), line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


@dataclass
class Stage:
    """A stage's root file system and what its instructions have set."""

    root: Path
    arguments: dict[str, str]
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin:/usr/bin:/bin"})
    user: str = "0:0"
    folder: str = "/"
    command: tuple[str, ...] = ()
    health: tuple[str, ...] = ()

    def filled(self, text: str) -> str:
        """Text with its variables put in."""
        known = {**self.arguments, **self.environment}
        return re.sub(r"\$\{(\w+)\}", lambda match: known.get(match[1], ""), text)

    def inside(self, command: list[str], *, user: str, lend: bool, sealed: bool, log=None) -> subprocess.Popen:
        """Start a command in the root file system."""
        steps = ["set -e", 'root="$0"']
        if sealed:
            steps += ['mount --bind "$root" "$root"', 'mount -o remount,ro,bind "$root"']
            steps += ['mount -t tmpfs -o size=512m,mode=1777,nosuid,nodev,noexec tmpfs "$root/tmp"']
            steps += [
                f'mount --bind "$root/../volumes{place}" "$root{place}"' for place in ("/data/cache", "/data/notes")
            ]
        steps += ['mount -t proc proc "$root/proc"', 'mount --rbind /dev "$root/dev"']
        for place in (Path(place) for place in LENT if lend and Path(place).exists()):
            target = self.root / place.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.mkdir(exist_ok=True) if place.is_dir() else target.touch()
            steps.append(f'mount --bind "{place}" "$root{place}"')
        number, group = user.split(":")
        drop = f"setpriv --reuid {number} --regid {group} --clear-groups"
        drop += " --no-new-privs --bounding-set=-all --inh-caps=-all" if sealed else ""
        given = {
            **self.environment,
            **{name: os.environ[name] for name in os.environ if lend and name.startswith("PIP_")},
        }
        given |= self.arguments if lend else {}
        variables = " ".join(shlex.quote(f"{name}={value}") for name, value in given.items())
        run = f"cd {shlex.quote(self.folder)} && exec {drop} env -i {variables} {shlex.join(command)}"
        steps.append(f'exec chroot "$root" sh -c {shlex.quote(run)}')
        whole = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", "\n".join(steps), str(self.root)]
        return subprocess.Popen(whole, stdout=log, stderr=log)


def build(base: Path, folder: Path, given: dict[str, str]) -> Stage:
    """Replay all stages; returns the last."""
    stages: dict[str, Stage] = {}
    outside: dict[str, str] = {}
    stage: Stage | None = None
    for name, text in instructions((ROOT / "Dockerfile").read_text()):
        began = time.monotonic()
        if stage is None and name == "ARG":
            key, _, value = text.partition("=")
            outside[key] = value
        elif name == "FROM":
            stage = Stage(folder / text.split()[-1], {})
            shutil.rmtree(stage.root, ignore_errors=True)
            subprocess.run(["cp", "-a", str(base), str(stage.root)], check=True)
            local = stage.root / "usr/local/bin/python"  # the name that the official image has
            local.symlink_to("/usr/bin/python3")
            stages[text.split()[-1]] = stage
        else:
            assert stage
            step(stage, stages, given, name, text)
        print(f"{time.monotonic() - began:7.1f} s  {name} {text[:80]}", flush=True)
    assert stage
    return stage


def step(stage: Stage, stages: dict[str, Stage], given: dict[str, str], name: str, text: str) -> None:
    """Replay one instruction."""
    if name == "ARG":
        key, _, value = text.partition("=")
        stage.arguments[key] = given.get(key, value)
    elif name == "ENV":
        stage.environment |= dict(pair.split("=", 1) for pair in shlex.split(stage.filled(text)))
    elif name == "RUN":
        ended = stage.inside(["sh", "-c", text], user=stage.user, lend=True, sealed=False).wait()
        if ended:
            sys.exit(f"RUN ended with {ended}: {text}")
    elif name == "COPY":
        copy(stage, stages, shlex.split(text))
    elif name == "WORKDIR":
        stage.folder = text
        (stage.root / text.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif name == "USER":
        stage.user = text
    elif name == "CMD":
        stage.command = tuple(json.loads(text))
    elif name == "HEALTHCHECK":
        stage.health = tuple(json.loads(text.partition("CMD ")[2]))
    elif name not in ("LABEL", "EXPOSE", "VOLUME", "STOPSIGNAL"):
        sys.exit(f"this replay does not know {name}")


def copy(stage: Stage, stages: dict[str, Stage], words: list[str]) -> None:
    """COPY: as Docker does, a folder's content goes into the target."""
    flags = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
    *sources, target = [word for word in words if not word.startswith("--")]
    source_root = stages[flags["from"]].root if "from" in flags else ROOT
    place = stage.root / target.lstrip("/")
    for source in sources:
        found = source_root / source.lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        if found.is_dir():
            subprocess.run(["cp", "-a", f"{found}/.", str(place)], check=True)
        else:
            subprocess.run(["cp", "-a", str(found), str(place)], check=True)
    if "from" not in flags:
        subprocess.run(["chown", "-R", "0:0", str(place)], check=True)
        for left in place.rglob("__pycache__"):
            shutil.rmtree(left)
    if "chown" in flags:
        subprocess.run(["chown", "-R", flags["chown"], str(place)], check=True)


def run(stage: Stage, more: dict[str, str]) -> None:
    """CMD as the container runs it, until the health check is green; then SIGTERM."""
    volumes = stage.root.parent / "volumes"
    for place in ("data/cache", "data/notes"):
        shutil.rmtree(volumes / place, ignore_errors=True)
        subprocess.run(["mkdir", "-p", str((volumes / place).parent)], check=True)
        subprocess.run(["cp", "-a", str(stage.root / place), str(volumes / place)], check=True)
    stage.environment |= more
    log = (stage.root.parent / "log").open("w")
    began = time.monotonic()
    server = stage.inside(list(stage.command), user=stage.user, lend=False, sealed=True, log=log)
    try:
        while True:
            check = stage.inside(list(stage.health), user=stage.user, lend=False, sealed=True, log=subprocess.DEVNULL)
            if check.wait() == 0:
                print(f"{time.monotonic() - began:7.1f} s  healthy", flush=True)
                break
            if server.poll() is not None or time.monotonic() - began > HEALTHY_S:
                sys.exit(f"not healthy: {(stage.root.parent / 'log').read_text()[-3000:]}")
            time.sleep(1)
        report(server.pid)
    finally:
        stop(server)
    print(f"ended with {server.returncode}")


def report(pid: int) -> None:
    """Users and capabilities of the processes inside, as the kernel reports them."""
    for inner in family(pid):
        status = Path(f"/proc/{inner}/status").read_text()
        found = dict(re.findall(r"^(Uid|CapEff|CapBnd|NoNewPrivs|VmRSS):\s*(.*)$", status, re.MULTILINE))
        line = Path(f"/proc/{inner}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:60]
        print(f"          {line:60} {found}")


def family(pid: int) -> list[int]:
    """Process numbers below one."""
    found = [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]
    return [*found, *(deeper for child in found for deeper in family(child))]


def stop(server: subprocess.Popen) -> None:
    """SIGTERM to the first process inside, as an engine does it; SIGKILL when it stays."""
    inside = family(server.pid)
    began = time.monotonic()
    if inside:
        os.kill(inside[0], signal.SIGTERM)
    try:
        server.wait(LEAVE_S)
        print(f"{time.monotonic() - began:7.1f} s  until all had ended after SIGTERM")
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    stage = build(given.base.resolve(), given.folder.resolve(), dict(pair.split("=", 1) for pair in given.build_arg))
    run(stage, dict(pair.split("=", 1) for pair in given.env))


if __name__ == "__main__":
    main()
