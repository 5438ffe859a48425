"""A real federation on one machine: a centre and three hospitals in network namespaces, over mutual TLS.

Each story disturbs a run in one way and asks for what an undisturbed run of the same seeds leaves in one process:
the same ledger, byte for byte, so the same weights and the same budget. Where a hospital stays away, its absence
is in the ledger and the others finish.
"""

import itertools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.hospitals import WILLIS, Federation, Place, change_settings, embedded_twin, federation
from tests.deploy.namespaces import Machine

pytestmark = pytest.mark.deploy
RECIPE = ("--recipe", "lesions-3d", "--rounds", "3", "--count", "2")
SHORT = ("--pretrain", "none", "--set", "steps=2", "--set", "sampling_rate=0.5")
SETTINGS = "arrival_seconds = 90.0\nanswer_seconds = 120.0\nround_seconds = 400.0\ngrace_seconds = 45.0\n"
RELAY = """
import asyncio
async def carry(reader, writer):
    async def later(data):
        await asyncio.sleep(15)
        writer.write(data)
    while data := await reader.read(65536):
        asyncio.ensure_future(later(data))
async def meet(reader, writer):
    far = await asyncio.open_connection("{host}", 8443)
    await asyncio.gather(carry(reader, far[1]), carry(far[0], writer))
async def main():
    await (await asyncio.start_server(meet, "127.0.0.1", 9443)).serve_forever()
asyncio.run(main())
"""
_names = (f"run-{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    root = tmp_path_factory.mktemp("federation")
    made = [
        *WILLIS,
        "phantoms",
        "lesions",
        str(root / "cohorts"),
        "--sites",
        "3",
        "--patients",
        "4",
        "--seed",
        "1",
    ]
    subprocess.run([*made, "--shape", "48", "56", "48"], check=True, capture_output=True)
    with federation(root, root / "cohorts", settings=SETTINGS) as fed:
        yield fed


@pytest.fixture
def up(whole: Federation) -> Federation:
    """Everything up, whatever the story before left."""
    for place in (whole.centre, *whole.sites):
        place.machine.plug_in()
        if not any(process.poll() is None for process in place.running):
            place.up()
    return whole


class Story:
    """One run of a seed of its own, beside its undisturbed twin in one process."""

    def __init__(self, whole: Federation, *, twin: bool = True) -> None:
        self.whole = whole
        self.name = next(_names)
        self.words = (*RECIPE, *SHORT, "--epsilon", f"{4 + int(self.name[4:]) / 100:.2f}")  # a run of its own
        self.folder = whole.centre.home / "runs" / self.name
        out = whole.root / f"twin-{self.name}"
        self._twin = embedded_twin(whole, whole.root / "cohorts", out, self.words) if twin else out

    def begin(self) -> subprocess.Popen[bytes]:
        return self.whole.centre.begin("run", self.name, *self.words, "--seed", 1)

    def wait_for(self, phase: str, round_: int = 0) -> None:
        """Wait until the run has come so far."""
        until(lambda: self._stands(phase, round_), f"{self.name} does not come to {phase} {round_}")

    def ended(self, process: subprocess.Popen[bytes]) -> int:
        return process.wait(600)

    def resume(self) -> None:
        self.whole.centre.willis("resume", self.name)

    def check_same_as_undisturbed(self) -> None:
        mine = (self.folder / "ledger" / "ledger.jsonl").read_bytes().splitlines()
        twin = (self._twin / "ledger" / "ledger.jsonl").read_bytes().splitlines()
        assert mine == twin[: len(mine)], self.name
        assert [json.loads(raw)["event"]["type"] for raw in twin[len(mine) :]] in ([], ["release"])
        assert sum(b'"settle"' in raw for raw in mine) >= len(self.whole.sites)

    def events(self, kind: str) -> list[dict[str, object]]:
        """Return this run's events of a kind."""
        run = json.loads((self.folder / "plan.json").read_bytes())["run"]
        every = [line["event"] for line in self.whole.ledger(self.name)]
        return [e for e in every if isinstance(e, dict) and e["type"] == kind and e.get("run") == run]

    def _stands(self, phase: str, round_: int) -> bool:
        if not (self.folder / "status.json").exists():
            return False
        status = json.loads((self.folder / "status.json").read_bytes())
        assert status["state"] != "failed", status
        return status["phase"] == phase and int(status["round"]) >= round_


def until(condition: Callable[[], bool], message: str, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, message
        time.sleep(0.05)


def begun(site: Place, rounds: int) -> bool:
    """Whether a hospital has begun so many rounds of the newest run."""
    asked = max((site.home / ".willis" / "runs").glob("*/questions.jsonl"), default=None, key=_age)
    return asked is not None and len(asked.read_text().splitlines()) >= rounds


def _age(path: Path) -> float:
    return path.stat().st_mtime


def test_real_hospitals_leave_the_ledger_of_one_process(up: Federation) -> None:
    story = Story(up)
    assert story.ended(story.begin()) == 0
    story.check_same_as_undisturbed()
    status = up.status(story.name)
    assert status["state"] == "finished"
    assert subprocess.run([*WILLIS, "audit", "verify", str(story.folder)], check=False).returncode == 0


@pytest.mark.parametrize("phase", ["enrolment", "reservation", "rounds", "settlement"])
def test_a_centre_killed_in_any_phase_goes_on_to_the_same_end(up: Federation, phase: str) -> None:
    story = Story(up)
    following = story.begin()
    story.wait_for(phase, 1 if phase == "rounds" else 0)
    up.centre.kill()
    following.wait(60)
    up.centre.up()
    assert up.status(story.name)["state"] in ("interrupted", "failed")
    story.resume()
    story.check_same_as_undisturbed()


@pytest.mark.parametrize("moment", ["before", "while", "after"])
def test_a_hospital_killed_around_training_answers_after_all(up: Federation, moment: str) -> None:
    story, site = Story(up), up.sites[1]
    following = story.begin()
    if moment == "before":
        story.wait_for("rounds")
    elif moment == "while":
        until(lambda: story.folder.joinpath("plan.json").exists(), "no plan")
        until(lambda: _newest_is(site, story) and begun(site, 2), "no second round")
    else:
        story.wait_for("rounds", 2)
    site.kill()
    site.up()
    assert story.ended(following) == 0
    story.check_same_as_undisturbed()


def test_a_hospital_cut_off_is_left_out_and_charged_for_what_it_began(up: Federation) -> None:
    story, site = Story(up, twin=False), up.sites[2]
    following = story.begin()
    story.wait_for("rounds", 1)
    site.machine.unplug()
    assert story.ended(following) == 0, "two of three are a quorum"
    rounds = story.events("round")
    assert site.name in rounds[0]["sites"]  # type: ignore[operator]
    assert site.name not in rounds[-1]["sites"]  # type: ignore[operator]
    settled = {str(e["site"]) for e in story.events("settle")}
    assert site.name not in settled, "what did not answer stays charged with its whole reservation"
    assert {"refuse"} <= {str(e["type"]) for e in story.events("refuse")}


@pytest.mark.parametrize("skew", ["+6s", "-400s"])
def test_a_hospital_whose_clock_is_wrong_is_told_so_and_left_out(up: Federation, skew: str) -> None:
    story, site = Story(up, twin=False), up.sites[1]
    site.down()
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")  # the command itself would stand between
    wrong = ["env", f"LD_PRELOAD={library}", f"FAKETIME={skew}"]
    site.up(by=wrong)
    preflight = site.machine.inside([*wrong, *site.words("preflight", "--json")])
    said = subprocess.run(preflight, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert "clock" in said.stdout
    assert story.ended(story.begin()) == 0
    assert all(site.name not in r["sites"] for r in story.events("round"))  # type: ignore[operator]
    site.down()


def test_a_hospital_thirty_seconds_away_does_not_hold_up_the_others(up: Federation) -> None:
    story, site = Story(up, twin=False), up.sites[2]
    site.down()
    change_settings(site.home / "site.toml", 'coordinator = "127.0.0.1:9443"\n')
    relay = site.machine.inside([sys.executable, "-c", RELAY.format(host=up.centre.machine.address)])
    with subprocess.Popen(relay) as far:
        try:
            site.up()
            assert story.ended(story.begin()) == 0
        finally:
            far.kill()
            site.down()
            change_settings(site.home / "site.toml", f'coordinator = "{up.centre.machine.address}:8443"\n')
    assert len(story.events("round")) == 3


def test_a_centre_whose_disk_fills_up_loses_nothing(up: Federation) -> None:
    story, runs = Story(up), up.centre.home / "runs"
    runs.mkdir(exist_ok=True)
    with small_disk(up.centre, runs, spare=1_000_000):
        assert story.ended(story.begin()) == 1
        assert "space" in (up.centre.home / "command.out").read_text()
        _make_room(runs)
        story.resume()
        story.check_same_as_undisturbed()


def test_a_hospital_whose_disk_fills_up_is_left_out_and_comes_back(up: Federation) -> None:
    story, site = Story(up, twin=False), up.sites[0]
    runs = site.home / ".willis" / "runs"
    runs.mkdir(exist_ok=True)
    with small_disk(site, runs, spare=300_000):
        assert story.ended(story.begin()) == 0
        assert all(site.name not in r["sites"] for r in story.events("round"))  # type: ignore[operator]
        _make_room(runs)
        again = Story(up, twin=False)
        assert again.ended(again.begin()) == 0
        assert site.name in again.events("round")[-1]["sites"]  # type: ignore[operator]


def test_a_hospital_shut_out_during_a_run_does_not_hold_it_up(up: Federation) -> None:
    story, site = Story(up, twin=False), up.sites[0]
    following = story.begin()
    story.wait_for("rounds", 1)
    up.centre.willis("revoke", site.name, "--reason", "tried out")
    assert story.ended(following) == 0
    assert site.name not in story.events("round")[-1]["sites"]  # type: ignore[operator]


def test_a_stranger_finds_one_port_and_nothing_behind_it(up: Federation) -> None:
    stranger, centre = up.sites[1].machine, up.centre.machine
    assert _open_ports(stranger, centre) == {8443}
    for site in up.sites:
        assert _open_ports(up.centre.machine, site.machine) == set()
    said = _curl(stranger, f"https://{centre.address}:8443/v1/fleet/pull-messages", "--insecure", "-X", "POST")
    assert said != "200"


@contextmanager
def small_disk(place: Place, folder: Path, spare: int) -> Iterator[None]:
    """Put a folder on a disk of its own for a while, with so many bytes to spare; its side starts anew for it."""
    kept = folder.with_name(f"{folder.name}.kept")
    place.down()
    shutil.copytree(folder, kept)
    size = sum(-(-path.stat().st_size // 4096) * 4096 for path in kept.rglob("*") if path.is_file()) + spare
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        place.up()
        yield
    finally:
        place.down()
        shutil.rmtree(kept)
        shutil.copytree(folder, kept)
        subprocess.run(["umount", str(folder)], check=True)
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        shutil.rmtree(kept)


def _make_room(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=500m", str(folder)], check=True)


def _newest_is(site: Place, story: Story) -> bool:
    run = json.loads((story.folder / "plan.json").read_bytes())["run"]
    newest = max((site.home / ".willis" / "runs").glob("*/questions.jsonl"), default=None, key=_age)
    return newest is not None and newest.parent.name == run


def _open_ports(source: Machine, target: Machine) -> set[int]:
    """Return which of all ports of `target` answer to `source`."""
    code = (
        "import socket,sys\nfound=[]\n"
        "for port in range(1,65536):\n"
        "  s=socket.socket(); s.settimeout(2)\n"
        f"  found+= [port] if s.connect_ex(({target.address!r},port))==0 else []; s.close()\n"
        "print(*found)"
    )
    said = subprocess.run(source.inside(["python3", "-c", code]), capture_output=True, text=True, check=True)
    return set(map(int, said.stdout.split()))


def _curl(source: Machine, *words: str) -> str:
    command = source.inside(["curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", *words])
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
