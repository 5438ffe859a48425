"""`python -m benchmarks.ledger_verify`: how long an auditor waits for a large ledger, step by step.

The floor is one Ed25519 verification an entry; it is timed beside the rest, with the same library.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from shared.canonical import digest
from shared.identity import Identity
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.events import Cap, Enrol, Event, Federation, Past, Reserve, Round, Run, Settle
from shared.ledger.log import COORDINATOR, SignedEvent, bound, event_bytes, line, parse
from shared.ledger.verify import check_checkpoint, verify_runs
from shared.ledger.view import head_of, views
from shared.privacy.events import NoiseSource, SampledGaussian, Spending
from shared.privacy.filter import order_for

DELTA, ROUNDS, MEMBERS, NOISE = 1e-5, 200, 20, 12.0
CAP = Cap(epsilon=60.0, delta=DELTA, order=order_for(60.0, DELTA))


@dataclass(frozen=True)
class Size:
    """How many sites a federation has, and how many runs of `MEMBERS` sites and `ROUNDS` rounds."""

    sites: int
    runs: int


def main_sizes() -> list[Size]:
    """Return ledgers of about 25,000, 50,000 and 100,000 entries."""
    return [Size(1000, runs) for runs in (100, 204, 412)]


def told(size: Size) -> Iterator[Event]:
    """Yield the events of a federation in which sites take turns, each in several runs."""
    yield Federation(public_key=signer(COORDINATOR).public_key, delta=DELTA, overlap=1)
    names = [f"site-{n:04d}" for n in range(size.sites)]
    for name in names:
        yield Enrol(site=name, public_key=signer(name).public_key, patients=100, cohort=digest(name.encode()))
    past: dict[str, tuple[Past, ...]] = dict.fromkeys(names, ())
    for number in range(size.runs):
        members = [names[(number * MEMBERS + n) % size.sites] for n in range(MEMBERS)]
        yield from _run(number, members, past)


def _run(number: int, members: list[str], past: dict[str, tuple[Past, ...]]) -> Iterator[Event]:
    spending = Spending.of(SampledGaussian(noise_multiplier=NOISE, sampling_rate=0.5, steps=ROUNDS))
    run = Run(
        run=digest(str(number).encode())[:16],
        recipe="lesions-3d",
        variant="wgan-gp",
        preset="small",
        rounds=ROUNDS,
        steps_per_round=1,
        sampling_rate=0.5,
        clip_norm=1.0,
        records_per_patient=1,
        spending=spending,
        delta=DELTA,
        noise_source=NoiseSource.SYSTEM,
        public_seed=number,
        pretrained_on="",
        code=digest(b"code"),
    )
    yield run
    plan = digest(event_bytes(run))
    for site in members:
        yield Reserve(
            run=run.run,
            site=site,
            cohort=digest(site.encode()),
            plan=plan,
            recipe=run.recipe,
            variant=run.variant,
            spending=spending,
            delta=DELTA,
            cap=CAP,
            past=past[site],
            noise_source=run.noise_source,
        )
        past[site] += (Past(run=run.run, recipe=run.recipe, variant=run.variant, spending=spending),)
    for round_ in range(1, ROUNDS + 1):
        model = digest(f"{number} {round_}".encode())
        yield Round(run=run.run, round=round_, sites=tuple(members), model=model)
    for site in members:
        yield Settle(run=run.run, site=site, rounds=ROUNDS, spending=spending)


_KEYS: dict[str, Identity] = {}


def signer(name: str) -> Identity:
    """Return the same key for the same name."""
    if name not in _KEYS:
        seed = sha256(name.encode()).digest()
        _KEYS[name] = Identity(name, Ed25519PrivateKey.from_private_bytes(seed))
    return _KEYS[name]


def measure(size: Size) -> list[str]:
    """Return a table row: entries, MB, seconds to check signatures, tree, runs, in all, floor, ratio to it."""
    signed = [SignedEvent.by(signer(bound(event)), event) for event in told(size)]
    lines = [line(index, entry) for index, entry in enumerate(signed)]
    key = signer(COORDINATOR).public_key
    checkpoint = Checkpoint.by(signer(COORDINATOR), head_of(lines))
    start = time.perf_counter()
    events = parse(lines, "ledger")
    parsed = time.perf_counter()
    tree = check_checkpoint(lines, checkpoint, key)
    rooted = time.perf_counter()
    findings = verify_runs(list(views(events).values()))
    end = time.perf_counter()
    wrong = [finding for finding in (tree, *findings) if not finding.passed]
    if wrong:
        raise AssertionError(wrong)
    for entry in signed:
        entry.is_signed_by(signer(entry.signer).public_key)
    floor = time.perf_counter() - end
    seconds = (parsed - start, rooted - parsed, end - rooted, end - start, floor)
    megabytes = sum(map(len, lines)) / 1e6
    return [f"{len(lines):,}", f"{megabytes:.0f}", *(f"{s:.2f}" for s in seconds), f"{(end - start) / floor:.2f}"]


@click.command()
def main() -> None:
    """Print how long the verification of large ledgers takes; it should grow in proportion to their size."""
    table = Table("entries", "MB", "signatures, s", "tree, s", "runs, s", "in all, s", "floor, s", "× floor")
    table.box, table.title = SIMPLE_HEAD, "1,000 sites; a run has 20 of them and 200 rounds"
    for size in main_sizes():
        table.add_row(*measure(size))
    Console().print(table)


if __name__ == "__main__":
    main()
