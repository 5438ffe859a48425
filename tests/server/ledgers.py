"""Small ledgers made in memory, with real keys: three sites, cheap mechanisms."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from server.ledger.home import Home
from server.run.folder import RunFolder
from shared.canonical import digest
from shared.files import write_durably
from shared.identity import Identity
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.events import (
    Approval,
    Cap,
    Check,
    Enrol,
    Event,
    Federation,
    Gate,
    Past,
    Release,
    Reserve,
    Round,
    Run,
    Settle,
    Steward,
)
from shared.ledger.log import Head, SignedEvent, bound, event_bytes, steward_name
from shared.ledger.store import LedgerStore
from shared.privacy.events import NoiseSource, NonPrivate, SampledGaussian, Spending
from shared.privacy.filter import order_for

RUN_ID = digest(b"a run")
DELTA = 1e-5
SITES = ("north", "south", "west")
ROUNDS, STEPS = 4, 1
STEP = SampledGaussian(noise_multiplier=2.0, sampling_rate=1.0, steps=1)  # unsampled: priced fastest


def identity(name: str) -> Identity:
    """Return the same key for the same name."""
    return Identity(name, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(digest(name.encode()))))


COORDINATOR = identity("coordinator")


def cap_of(epsilon: float) -> Cap:
    """Return a cap at the tests' δ, with the filter's best order."""
    return Cap(epsilon=epsilon, delta=DELTA, order=order_for(epsilon, DELTA))


def gaussian(steps: int) -> Spending:
    """Return `steps` steps of the one mechanism these tests use."""
    return Spending.of(STEP.model_copy(update={"steps": steps}))


@dataclass
class Story:
    """A run to be told as ledger events; change a field to tell another one."""

    plan: Spending = field(default_factory=lambda: gaussian(ROUNDS * STEPS))
    sites: Sequence[str] = SITES
    settled: Sequence[str] = SITES
    rounds_done: int = ROUNDS
    past: dict[str, tuple[Past, ...]] = field(default_factory=dict)
    cap: Cap = field(default_factory=lambda: cap_of(10.0))
    overlap: int = 1
    recipe: str = "vessels-2d"
    noise_source: NoiseSource = NoiseSource.SYSTEM
    run_id: str = RUN_ID
    model: str = ""  # digest of the last round's; "": any

    def events(self) -> list[Event]:
        """Return the events in the order of a real run."""
        return [
            self.federation(),
            *(self.enrol(site) for site in self.sites),
            self.run(),
            *(self.reserve(site) for site in self.sites),
            *(self.round(number) for number in range(1, self.rounds_done + 1)),
            *(self.settle(site) for site in self.settled),
        ]

    def federation(self) -> Federation:
        return Federation(public_key=COORDINATOR.public_key, delta=DELTA, overlap=self.overlap)

    def enrol(self, site: str) -> Enrol:
        key = identity(site).public_key
        return Enrol(site=site, public_key=key, patients=40, cohort=digest(site.encode()))

    def run(self) -> Run:
        return Run(
            run=self.run_id,
            recipe=self.recipe,
            variant="wgan",
            preset="small",
            rounds=self.plan.steps,
            steps_per_round=STEPS,
            sampling_rate=1.0,
            clip_norm=1.0,
            records_per_patient=4,
            spending=self.plan,
            delta=DELTA,
            noise_source=self.noise_source,
            public_seed=7,
            pretrained_on="phantom angiograms",
            code=digest(b"code"),
        )

    def reserve(self, site: str) -> Reserve:
        return Reserve(
            run=self.run_id,
            site=site,
            cohort=digest(site.encode()),
            plan=digest(event_bytes(self.run())),
            recipe=self.recipe,
            variant="wgan",
            spending=self.plan,
            delta=DELTA,
            cap=self.cap,
            past=self.past.get(site, ()),
            noise_source=self.noise_source,
        )

    def round(self, number: int) -> Round:
        model = self.model if self.model and number == self.plan.steps else digest(bytes([number]))
        return Round(run=self.run_id, round=number, sites=tuple(self.sites), model=model)

    def settle(self, site: str) -> Settle:
        share = [m.model_copy(update={"steps": self.rounds_done * STEPS}) for m in self.plan.mechanisms]
        spending = self.plan.model_copy(update={"mechanisms": tuple(share)})
        return Settle(run=self.run_id, site=site, rounds=self.rounds_done, spending=spending)


def steward(name: str, state: Literal["named", "withdrawn"] = "named") -> Steward:
    """Return that the coordinator named, or withdrew, the steward whose key `identity` gives."""
    return Steward(name=name, public_key=identity(steward_name(name)).public_key, state=state)


def gate(manifest: str, *, passed: bool = True, run: str = RUN_ID) -> Gate:
    """Return what a gate of one check found."""
    return Gate(run=run, manifest=manifest, checks=(Check(name="files", passed=passed, words="3 cases"),))


def approval(
    manifest: str, name: str, decision: Literal["approved", "refused"] = "approved", words: str = ""
) -> Approval:
    """Return what a steward decided."""
    return Approval(run=RUN_ID, manifest=manifest, steward=name, decision=decision, words=words)


def release(manifest: str, **changes: object) -> Release:
    """Return that a data set of three cases was released."""
    usual = Release(run=RUN_ID, kind="release", cases=3, manifest=manifest)
    return usual.model_copy(update=changes)


def signed(event: Event) -> SignedEvent:
    """Return `event` signed by the one it binds."""
    return SignedEvent.by(identity(bound(event)), event)


def signed_all(events: Sequence[Event]) -> list[SignedEvent]:
    """Return `events`, each signed."""
    return [signed(event) for event in events]


def cosigned(head: Head, sites: Sequence[str]) -> Checkpoint:
    """Return a checkpoint of the coordinator, cosigned by `sites`."""
    checkpoint = Checkpoint.by(COORDINATOR, head)
    return checkpoint.with_signatures(*(checkpoint.cosign(identity(site), 1_780_000_000) for site in sites))


def store_at(folder: Path, events: Sequence[Event]) -> LedgerStore:
    """Return the ledger, with `events`, of a new federation at FOLDER/home whose run has the folder `folder`."""
    home = Home(folder / "home")
    Identity.at(home.key_file, COORDINATOR.name)
    home.key_file.write_bytes(COORDINATOR._key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    store = LedgerStore(home.ledger_file, create=True)
    for entry in signed_all(events):
        store.append(entry)
    run = RunFolder(folder)
    write_durably(folder / "federation.json", json.dumps({"federation": str(home.path)}).encode())
    run.keep_plan(next(event for event in events if isinstance(event, Run)))
    return store


NON_PRIVATE_PAST = Past(
    run="f" * 64, recipe="vessels-2d", variant="twin", spending=Spending.of(NonPrivate(steps=4))
)
PRIVATE_PAST = Past(run="e" * 64, recipe="vessels-2d", variant="wgan", spending=gaussian(ROUNDS * STEPS))
