"""A ledger of two runs at three sites, every way to falsify it, and those who may try.

A history is a list of log lines as JSON objects. A mutation changes it; a forger then makes it look right as far
as the keys in its hands allow: places, signatures, the root, the checkpoint.
"""

import hashlib
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.canonical import canonical, digest
from shared.identity import Identity
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.events import (
    EVENT,
    Approval,
    Cap,
    Check,
    Enrol,
    Event,
    Federation,
    Gate,
    Incident,
    Past,
    Release,
    Reserve,
    Round,
    Run,
    Settle,
    Steward,
)
from shared.ledger.log import COORDINATOR, SignedEvent, bound, event_bytes, line, steward_name
from shared.ledger.view import head_of
from shared.privacy.events import NoiseSource, SampledGaussian, Spending
from shared.privacy.filter import order_for

Line = dict[str, Any]
History = list[Line]
SITES = ("north", "south", "west")
STEWARD = "ada"
DELTA = 1e-5
TIME = 1_780_000_000


def key_of(name: str) -> Identity:
    """Return the same key for the same name."""
    return Identity(name, Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest()))


def _spending(steps: int) -> Spending:
    return Spending.of(SampledGaussian(noise_multiplier=4.0, sampling_rate=1.0, steps=steps))


def _run(name: str, rounds: int) -> Run:
    return Run(
        run=digest(name.encode()),
        recipe="vessels-2d",
        variant="wgan",
        preset="small",
        rounds=rounds,
        steps_per_round=1,
        sampling_rate=1.0,
        clip_norm=1.0,
        records_per_patient=4,
        spending=_spending(rounds),
        delta=DELTA,
        noise_source=NoiseSource.SYSTEM,
        public_seed=7,
        pretrained_on="phantoms",
        code=digest(b"code"),
    )


def _events_of(run: Run, past: tuple[Past, ...]) -> Iterator[Event]:
    yield run
    for site in SITES:
        yield Reserve(
            run=run.run,
            site=site,
            cohort=digest(site.encode()),
            plan=digest(event_bytes(run)),
            recipe=run.recipe,
            variant=run.variant,
            spending=run.spending,
            delta=DELTA,
            cap=Cap(epsilon=8.0, delta=DELTA, order=order_for(8.0, DELTA)),
            past=past,
            noise_source=run.noise_source,
        )
    for number in range(1, run.rounds + 1):
        yield Round(run=run.run, round=number, sites=SITES, model=digest(f"{run.run} {number}".encode()))
    for site in SITES:
        yield Settle(run=run.run, site=site, rounds=run.rounds, spending=run.spending)


def _released(run: Run) -> Iterator[Event]:
    """Yield gate, approval and release of one data set."""
    manifest = digest(b"sums")
    yield Gate(run=run.run, manifest=manifest, checks=(Check(name="files", passed=True, words="10 cases"),))
    yield Approval(run=run.run, manifest=manifest, steward=STEWARD, decision="approved", words="looked at")
    yield Release(run=run.run, kind="release", cases=10, manifest=manifest)


def story(second: str = "second") -> list[SignedEvent]:
    """Return two runs at three sites, a release that a steward approved, an incident; `second` names a run."""
    first, last = _run("first", 2), _run(second, 2)
    past = (Past(run=first.run, recipe=first.recipe, variant=first.variant, spending=first.spending),)
    events: list[Event] = [
        Federation(public_key=key_of(COORDINATOR).public_key, delta=DELTA, overlap=1),
        *(Enrol(site=s, public_key=key_of(s).public_key, patients=40, cohort=digest(s.encode())) for s in SITES),
        Steward(name=STEWARD, public_key=key_of(steward_name(STEWARD)).public_key, state="named"),
        *_events_of(first, ()),
        *_released(first),
        Incident(run=first.run, text="an answer was lost"),
        *_events_of(last, past),
    ]
    return [SignedEvent.by(key_of(bound(event)), event) for event in events]


@dataclass(frozen=True)
class Export:
    """What an auditor is given, as the forger leaves it."""

    lines: tuple[bytes, ...]
    checkpoint: Checkpoint
    witnessed: Checkpoint


def export(lines: Sequence[bytes], signer: Identity, witnesses: Sequence[str] = SITES) -> Export:
    """Return an export whose checkpoint `signer` made and `witnesses` cosigned."""
    signed = Checkpoint.by(signer, head_of(lines))
    return Export(
        tuple(lines), signed, signed.with_signatures(*(signed.cosign(key_of(site), TIME) for site in witnesses))
    )


TRUE_LINES = [line(index, signed) for index, signed in enumerate(story())]
TRUE = export(TRUE_LINES, key_of(COORDINATOR))


# Forgers: what each can sign --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Forger:
    """Someone with keys: `signs` lists whose events it can sign, each with which key."""

    name: str
    places: bool  # puts the right index into every line
    signs: tuple[tuple[str, str], ...] = ()

    def make(self, history: History) -> Export:
        """Return the export that this forger shows instead of the true one."""
        keys = dict(self.signs)
        made = deepcopy(history)
        for index, entry in enumerate(made):
            if self.places:
                entry["index"] = index
            _sign_again(entry, keys)
        lines = [canonical(entry) for entry in made]
        if COORDINATOR not in keys:
            return Export(tuple(lines), TRUE.checkpoint, TRUE.witnessed)
        return Export(tuple(lines), Checkpoint.by(key_of(keys[COORDINATOR]), head_of(lines)), TRUE.witnessed)


def _sign_again(entry: Line, keys: dict[str, str]) -> None:
    event = entry["event"]
    if event.get("type") in ("federation", "enrol", "steward"):
        who = steward_name(event["name"]) if event["type"] == "steward" else event.get("site", COORDINATOR)
        if who in keys and keys[who] != who:
            event["public_key"] = key_of(keys[who]).public_key
    try:
        known = EVENT.validate_python(event)
    except ValueError:
        return
    signer = keys.get(bound(known))
    if signer is not None:
        signed = SignedEvent.by(key_of(signer), known)
        entry |= {"signature": signed.signature, "signer": bound(known)}


_OWN = tuple((who, who) for who in (COORDINATOR, *SITES, steward_name(STEWARD)))
_THIEFS = (*((who, "thief") for who in (COORDINATOR, *SITES)), (steward_name(STEWARD), "the thief's steward"))
FORGERS = (
    Forger("a reader, editing the file", places=False),
    Forger("a reader, who puts places and root right", places=True),
    Forger("a thief, signing as coordinator with another key", places=True, signs=_THIEFS[:1]),
    Forger("a thief, signing everything with another key", places=True, signs=_THIEFS),
    Forger("the coordinator, signing anew", places=True, signs=_OWN[:1]),
    Forger("the coordinator, all sites and the steward together", places=True, signs=_OWN),
)


# Mutations ---------------------------------------------------------------------------------------------------

Mutation = tuple[str, str, History]  # class, what exactly, the history it makes


def mutations() -> Iterator[Mutation]:
    """Yield every mutation of the true history, at every index."""
    true = [_line_of(signed, index) for index, signed in enumerate(story())]
    for kind in (_drops, _copies, _inserts, _edits, _swaps, _cuts, _forks, _schemes):
        yield from kind(true)


def _line_of(signed: SignedEvent, index: int) -> Line:
    return {**signed.model_dump(mode="json"), "index": index, "version": 1}


def _drops(true: History) -> Iterator[Mutation]:
    for i, entry in enumerate(true):
        yield "drop", entry["event"]["type"], [*true[:i], *true[i + 1 :]]


def _copies(true: History) -> Iterator[Mutation]:
    for entry in true:
        for place in range(len(true)):
            yield "insert a copy", entry["event"]["type"], [*true[:place], entry, *true[place:]]


def _inserts(true: History) -> Iterator[Mutation]:
    forged = SignedEvent.by(key_of("thief"), EVENT.validate_python(true[-1]["event"]))
    for place in range(len(true)):
        for signer in ("thief", bound(forged.event)):
            entry = _line_of(forged.model_copy(update={"signer": signer}), place)
            yield "insert one signed by another key", "settle", [*true[:place], entry, *true[place:]]


def _edits(true: History) -> Iterator[Mutation]:
    for i, entry in enumerate(true):
        for path, value in _leaves(entry, ()):
            for other in _others(value):
                edited = deepcopy(entry)
                _put(edited, path, other)
                what = f"{entry['event']['type']}: {'.'.join(str(p) for p in path if p != 'event')}"
                yield "edit a field", what, [*true[:i], edited, *true[i + 1 :]]


def _swaps(true: History) -> Iterator[Mutation]:
    for i in range(len(true) - 1):
        what = f"{true[i]['event']['type']} and {true[i + 1]['event']['type']}"
        yield "swap neighbours", what, [*true[:i], true[i + 1], true[i], *true[i + 2 :]]


def _cuts(true: History) -> Iterator[Mutation]:
    for size in range(1, len(true)):
        yield "truncate", f"after {true[size - 1]['event']['type']}", true[:size]


def _forks(true: History) -> Iterator[Mutation]:
    """From each entry on, another history that the same keys signed: a second run under another name."""
    other = [_line_of(signed, index) for index, signed in enumerate(story("another"))]
    for i in range(1, len(true)):
        history = [*true[:i], *other[i:]]
        if history != true:
            yield "fork", f"from {true[i]['event']['type']} on", history


def _schemes(true: History) -> Iterator[Mutation]:
    """What a site and its coordinator could agree on, with every digest put right: signed, it is well formed."""
    run = true[-1]["event"]["run"]
    mine = [i for i, entry in enumerate(true) if entry["event"].get("run") == run]
    for sites in (*((site,) for site in SITES), SITES):
        for kind, changes in (
            ("double spend", {"reserve": {"past": []}}),
            ("understated steps", {"settle": {"rounds": 1, "spending": _spending(1).model_dump(mode="json")}}),
            ("overstated noise", {"settle": {"spending": _noisier().model_dump(mode="json")}}),
        ):
            history = deepcopy(true)
            for i in mine:
                event = history[i]["event"]
                if event.get("site") in sites:
                    event |= changes.get(event["type"], {})
            yield kind, ", ".join(sites), history
    yield "another δ", "all sites", _replanned(true, mine, delta=DELTA / 10)
    yield (
        "more noise planned than before",
        "all sites",
        _replanned(true, mine, spending=_noisier().model_dump(mode="json")),
    )


def _noisier() -> Spending:
    return Spending.of(SampledGaussian(noise_multiplier=8.0, sampling_rate=1.0, steps=2))


def _replanned(true: History, mine: Sequence[int], **changes: object) -> History:
    """Change the second run's plan, and bind every reservation to it."""
    history = deepcopy(true)
    run = history[mine[0]]["event"]
    run |= changes
    for i in mine:
        if history[i]["event"]["type"] == "reserve":
            history[i]["event"] |= {**changes, "plan": digest(canonical(run))}
    return history


def _leaves(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], object]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(item, (*path, key))
    else:
        yield path, value


def _others(value: object) -> list[object]:
    """Return other values for a field, of the same kind: larger and smaller, or another name."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value * 2, value / 2]
    if value in SITES:
        return [site for site in SITES if site != value]
    assert isinstance(value, str), value
    return [("0" if value[:1] != "0" else "1") + value[1:]]


def _put(entry: Line, path: Sequence[str | int], value: object) -> None:
    place: Any = entry
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
