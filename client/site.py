"""One hospital: where its files are, who it is, what it allows and what it has spent.

Everything Willis keeps at a site lies in `<cohort>/.willis/`: the signing key, the salt of the cohort's
commitment, the site's own ledger, the outbox of each run, and the log that never leaves.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from client.cohort import Cohort, find_cohort
from client.outbox import Outbox
from client.policy import POLICY_FILE, Policy, decide, read_policy
from shared.canonical import canonical, digest
from shared.errors import PolicyRefusal, ProtocolError
from shared.files import write_durably
from shared.identity import Identity
from shared.imaging.scan import Role
from shared.ledger.events import Enrol, Event, Past, Refuse, Reserve, Run, Settle
from shared.ledger.log import SignedEvent, event_bytes
from shared.ledger.store import LedgerStore
from shared.privacy.events import NoiseSource, NonPrivate, SampledGaussian, Spending

STATE = ".willis"


class Site:
    """A hospital's side of the protocol, without images: decisions, signatures, the site's ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self._state = folder / STATE

    @property
    def identity(self) -> Identity:
        """The site's signing key, made on first use."""
        return Identity.at(self._state / "site.key", self.name)

    @property
    def policy(self) -> Policy:
        """The site's policy, read afresh: an edit holds from the next decision on."""
        return read_policy(self.folder / POLICY_FILE)

    @property
    def log(self) -> Path:
        """Where full error texts stay."""
        return self._state / "site.log"

    def cohort(self, roles: Sequence[Role]) -> Cohort:
        """List the site's patients (see `find_cohort`)."""
        return find_cohort(self.folder, roles)

    def outbox(self, run: str) -> Outbox:
        """What was answered in a run."""
        return Outbox(self._state / "runs" / run)

    def enrol(self, cohort: Cohort) -> SignedEvent:
        """Return the signed statement of who the site is; the same bytes while the cohort is the same."""
        identity = self.identity
        event = Enrol(
            site=self.name,
            public_key=identity.public_key,
            patients=len(cohort.ids),
            cohort=self._commitment(cohort),
        )
        signed = SignedEvent.by(identity, event)
        with self._ledger(create=not (self._state / "runs").exists()) as ledger:
            ledger.append_once(signed, lambda known: known == event)
        return signed

    def reserve(self, run: Run, cohort: Cohort, *, resume: bool) -> SignedEvent:
        """Set budget aside for a run, durably, or refuse it: a signed event of the site's ledger."""
        (self._state / "runs").mkdir(exist_ok=True)
        with self._ledger() as ledger:
            known = _find(ledger, Reserve, run.run)
            if known is not None:
                return self._reserve_again(known, run, cohort, resume=resume)
            past = tuple(_past(ledger))
            policy = self.policy
            event: Event
            try:
                decide(policy, run, len(cohort.ids), past)
            except PolicyRefusal as err:
                event = Refuse(run=run.run, site=self.name, by="site", round=0, code=err.code, reason=str(err))
            else:
                event = Reserve(
                    run=run.run,
                    site=self.name,
                    cohort=self._commitment(cohort),
                    plan=digest(event_bytes(run)),
                    recipe=run.recipe,
                    variant=run.variant,
                    spending=run.spending,
                    delta=run.delta,
                    cap=policy.cap,
                    past=past,
                    noise_source=run.noise_source,
                )
            signed = SignedEvent.by(self.identity, event)
            ledger.append(signed)
            if isinstance(event, Reserve):
                write_durably(self._plan_file(run.run), event_bytes(run))
            return signed

    def settle(self, run: str) -> SignedEvent:
        """Say what was executed: the rounds begun, whether or not their updates were used."""
        with self._ledger() as ledger:
            plan = self.plan(run)
            rounds = self.outbox(run).rounds
            spending = _executed(plan.spending, rounds * plan.steps_per_round)
            event = Settle(run=run, site=self.name, rounds=rounds, spending=spending)
            signed = SignedEvent.by(self.identity, event)
            ledger.append_once(signed, lambda e: isinstance(e, Settle) and e == event)
            return signed

    def plan(self, run: str) -> Run:
        """Return the plan that was reserved, as this site keeps it.

        Raises:
            ProtocolError: nothing was reserved: no step may be made.
        """
        path = self._plan_file(run)
        if not path.exists():
            raise ProtocolError(f"run {run} was never reserved here")
        return Run.model_validate_json(path.read_bytes())

    def _reserve_again(self, known: SignedEvent, run: Run, cohort: Cohort, *, resume: bool) -> SignedEvent:
        """Answer a reservation that exists: for a resumed run, or a seeded one repeated to the byte."""
        event = known.event
        assert isinstance(event, Reserve)
        if (event.plan, event.cohort) != (digest(event_bytes(run)), self._commitment(cohort)):
            raise ProtocolError(f"run {run.run} was reserved with another plan or cohort; choose another seed")
        write_durably(self._plan_file(run.run), event_bytes(run))  # a crash may have come before
        if not resume:
            if run.noise_source is not NoiseSource.SEEDED:
                raise ProtocolError(f"run {run.run} was reserved before; resume it or start another")
            self.outbox(run.run).forget_answers()
        return known

    def _plan_file(self, run: str) -> Path:
        return self._state / "runs" / run / "plan.json"

    def _commitment(self, cohort: Cohort) -> str:
        path = self._state / "salt"
        if not path.exists():
            write_durably(path, os.urandom(32))
        return hashlib.sha256(path.read_bytes() + canonical(cohort.ids)).hexdigest()

    @contextmanager
    def _ledger(self, *, create: bool = False) -> Iterator[LedgerStore]:
        """Open the site's ledger; one that vanished after runs were reserved is an error, not a new one."""
        ledger = LedgerStore(self._state / "ledger.sqlite", create=create)
        try:
            yield ledger
        finally:
            ledger.close()


def _find(ledger: LedgerStore, kind: type[Reserve] | type[Settle], run: str) -> SignedEvent | None:
    for signed in reversed(ledger.events):
        if isinstance(signed.event, kind) and signed.event.run == run:
            return signed
    return None


def _past(ledger: LedgerStore) -> Iterator[Past]:
    """Yield what earlier runs cost: as settled, or as reserved where a settlement never came."""
    settled = {s.event.run: s.event for s in ledger.events if isinstance(s.event, Settle)}
    for signed in ledger.events:
        event = signed.event
        if isinstance(event, Reserve):
            end = settled.get(event.run)
            spending = end.spending if end else event.spending
            if spending.steps:
                yield Past(run=event.run, recipe=event.recipe, variant=event.variant, spending=spending)


def _executed(reserved: Spending, steps: int) -> Spending:
    """Return the reserved plan cut down to `steps`; plans have one mechanism a run today."""
    (mechanism,) = reserved.mechanisms
    if steps > mechanism.steps:
        raise ProtocolError(f"{steps} steps were begun and only {mechanism.steps} reserved")
    ran: SampledGaussian | NonPrivate = mechanism.model_copy(update={"steps": steps})
    return Spending(unit=reserved.unit, relation=reserved.relation, mechanisms=(ran,))
