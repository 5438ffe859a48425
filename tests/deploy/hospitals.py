"""A federation of real processes: a centre and hospitals, each on a machine of its own, by people's commands."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.namespaces import Machine, machines

ROOT = Path(__file__).resolve().parents[2]
WILLIS = (str(Path(sys.executable).parent / "willis"),)
SEED = 1
TINY = ("--recipe", "vessels-2d", "--variant", "private", "--rounds", "3", "--epsilon", "8", "--count", "4")
# A site that shows what a federation does, not what protects patients: its noise can be repeated.
POLICY = """\
max_epsilon = 20.0
delta = 1e-5
min_noise_multiplier = 0.3
min_patients = 3
allow_seeded_noise = true
"""


@dataclass
class Place:
    """One side: its machine, its folder, and what it keeps running."""

    machine: Machine
    home: Path
    side: str  # coordinator or site
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    logged: int = 0  # bytes in the log of `up` before it was started last

    @property
    def log(self) -> Path:
        """Where `up` logs."""
        return self.home / "logs" / "up.jsonl"

    @property
    def name(self) -> str:
        """The folder's name, which is the hospital's."""
        return self.home.name

    def willis(self, *words: object, status: int | None = 0, cwd: Path | None = None) -> str:
        """Run `willis coordinator` or `willis site` on this machine; return what it printed."""
        done = subprocess.run(
            self._command(*words),
            env=_environment(),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            timeout=600,
            check=False,
        )
        said = done.stdout + done.stderr
        assert status is None or done.returncode == status, f"{words}: {done.returncode}\n{said}"
        return said

    def up(self, *, by: Sequence[str] = (), seconds: float = 60.0) -> None:
        """Start `up`, by another command if one is given, and wait until all its programs are there."""
        self.logged = self.log.stat().st_size if self.log.exists() else 0
        log = (self.home / "up.out").open("ab")
        command = self.machine.inside([*by, *self.words("up")])
        process = subprocess.Popen(command, env=_environment(), stdout=log, stderr=log)
        self.running.append(process)
        end = time.monotonic() + seconds
        while not self.is_up():
            assert process.poll() is None, (self.home / "up.out").read_text() + self._said()
            assert time.monotonic() < end, (self.home / "up.out").read_text() + self._said()
            time.sleep(0.2)

    def is_up(self) -> bool:
        """Whether the last program has come up, as the log says."""
        said = self._said()
        last = said[said.rfind("willis.up") :]
        return "reach this centre" in last or "connects to" in last

    def _said(self) -> str:
        """Return what `up` has logged since it was started."""
        return self.log.read_bytes()[self.logged :].decode() if self.log.exists() else ""

    def begin(self, *words: object) -> subprocess.Popen[bytes]:
        """Start a command and do not wait for it."""
        with (self.home / "command.out").open("ab") as log:
            process = subprocess.Popen(self._command(*words), env=_environment(), stdout=log, stderr=log)
        self.running.append(process)
        return process

    def down(self) -> None:
        """Ask `up` to stop, and see that it does."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill `up`, as a power cut does; its programs go with it."""
        self._signal(signal.SIGKILL)

    def pids(self, program: str) -> list[int]:
        """Return the processes on this machine whose command line holds `program`."""
        inside = subprocess.run(
            ["ip", "netns", "pids", self.machine.name], capture_output=True, text=True, check=True
        )
        return [pid for pid in map(int, inside.stdout.split()) if program in _command_line(pid)]

    def _signal(self, number: int) -> None:
        for process in self.running:
            if process.poll() is None:
                os.kill(process.pid, number)
        for process in self.running:
            process.wait(60)
        self.running.clear()
        # A killed one leaves Flower's apps, which the next `up` ends.
        own = f" --home {self.home} up"
        _wait(lambda: not self.pids(own) and not self.pids("flower-"), f"{self.machine.name} goes on", 60.0)
        (self.home / "up.out").unlink(missing_ok=True)

    def _command(self, *words: object) -> list[str]:
        return self.machine.inside(self.words(*words))

    def words(self, *words: object) -> list[str]:
        """Return the command line of this side."""
        return [*WILLIS, self.side, "--home", str(self.home), *map(str, words)]


@dataclass
class Federation:
    """A centre and its hospitals."""

    root: Path
    centre: Place
    sites: list[Place]

    def site(self, name: str) -> Place:
        """Return the hospital with this name."""
        return next(site for site in self.sites if site.name == name)

    def ledger(self, run: str) -> list[dict[str, object]]:
        """Return the exported ledger of a run."""
        text = (self.centre.home / "runs" / run / "ledger" / "ledger.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def status(self, run: str) -> dict[str, object]:
        """Return what the centre says of a run."""
        said = self.centre.willis("status", run, "--json", status=None)
        answer: dict[str, object] = json.loads(said[said.index("{") : said.rindex("}") + 1])
        return answer


@contextmanager
def federation(root: Path, cohorts: Path, *, settings: str = "") -> Iterator[Federation]:
    """Yield a federation of the hospitals under `cohorts`: provisioned, approved, and nothing up yet."""
    names = sorted(path.name for path in cohorts.iterdir() if not path.name.startswith("."))
    with machines(["centre", *names]) as made:
        centre = Place(made[0], root / "centre", "coordinator")
        sites = [Place(m, root / "sites" / n, "site") for m, n in zip(made[1:], names, strict=True)]
        whole = Federation(root, centre, sites)
        try:
            _found(whole, cohorts, settings)
            yield whole
        finally:
            for place in (*sites, centre):
                for process in place.running:
                    process.kill()
                for pid in place.pids(""):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)


def _found(whole: Federation, cohorts: Path, settings: str) -> None:
    centre = whole.centre
    hosts = ("--host", centre.machine.address, "--host", "127.0.0.1")  # the second for a relay at a hospital
    said = centre.willis("init", "--name", "test-net", *hosts)
    change_settings(centre.home / "coordinator.toml", settings)
    desk = whole.root / "desk"  # where the files that travel lie
    desk.mkdir()
    for site in whole.sites:
        asked = site.willis("request", "--name", site.name, "--cohort", cohorts / site.name, cwd=desk)
        (site.home / "policy.toml").write_text(POLICY)
        change_settings(site.home / "site.toml", f"noise_seed = {SEED}\nthreads = 1\n")
        centre.willis("approve", f"{site.name}.request", "--fingerprint", fingerprint(asked), cwd=desk)
        site.willis("join", f"{site.name}.answer", "--fingerprint", fingerprint(said), cwd=desk)
        site.willis("approve")
        (site.home / ".willis" / "salt").write_bytes(
            site.name.encode().ljust(32)
        )  # made on first use: of the twin too


def embedded_twin(whole: Federation, cohorts: Path, out: Path, words: Sequence[str] = TINY) -> Path:
    """Run the same federation in one process, with the same keys, and return the run's folder."""
    twin = out / "cohorts"
    for site in whole.sites:
        shutil.copytree(cohorts / site.name, twin / site.name)
        shutil.copytree(site.home / ".willis", twin / site.name / ".willis")
        shutil.copy(site.home / "policy.toml", twin / site.name)
    shutil.copytree(whole.centre.home / "federation", out / "federation")
    command = [*WILLIS, "simulate", str(out / "run"), "--cohorts", str(twin), *words]
    command += ["--seed", str(SEED), "--federation", str(out / "federation")]
    subprocess.run(command, env=_environment(), check=True, capture_output=True)
    return out / "run"


def fingerprint(said: str) -> str:
    """Return the fingerprint that a command printed to be read out."""
    found = re.search(r"\b[0-9A-Fa-f]{4}(?: [0-9A-Fa-f]{4}){7,}\b", said)
    assert found, said
    return found[0]


def change_settings(path: Path, more: str) -> None:
    """Set keys of a settings file anew."""
    keys = {line.split("=")[0].strip() for line in more.splitlines()}
    kept = [line for line in path.read_text().splitlines() if line.split("=")[0].strip(" #") not in keys]
    path.write_text("\n".join([*kept, more]))


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _wait(condition: object, message: str, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, message
        time.sleep(0.1)
