"""One hospital: where its files are, who it is, what it allows and what it has spent.

Everything Willis keeps at a site lies in `<folder>/.willis/`: the signing key, the salt of the cohort's
commitment, the site's own ledger, the outbox of each run, and the log that never leaves.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from client import history
from client.cohort import Cohort, find_cohort
from client.outbox import Outbox
from client.policy import POLICY_FILE, Policy, decide, read_policy
from shared.canonical import canonical, digest
from shared.code import code_digest
from shared.errors import (
    CheckpointError,
    LedgerError,
    PolicyRefusal,
    ProtocolError,
    RequestRefused,
    UsageError,
)
from shared.files import write_durably
from shared.identity import Identity
from shared.imaging.scan import Role
from shared.ledger.events import Enrol, Past, Refuse, Reserve, Run, Settle
from shared.ledger.log import SignedEvent, event_bytes
from shared.ledger.store import LedgerStore
from shared.privacy.events import NoiseSource, Spending

STATE = ".willis"
MOST_REFUSALS = 1000  # in a site's ledger: a coordinator must not be able to fill its disk
_RUN_NAME = re.compile(r"[0-9a-f]{8,64}")


class Site:
    """A hospital's side of the protocol, without images: decisions, signatures, the site's ledger."""

    def __init__(self, folder: Path, *, name: str = "", images: Path | None = None, coordinator: str = "") -> None:
        """Name a hospital's folders.

        Args:
            folder: of policy and state.
            name: of the site; that of the folder where none is given.
            images: of the cohort, which may be readable only; `folder` where none is given.
            coordinator: public key of the one coordinator whose ledger is witnessed; "" for any.
        """
        self.folder = folder
        self.name = name or folder.name
        self.images = images or folder
        self.coordinator = coordinator
        self._state = folder / STATE

    @property
    def identity(self) -> Identity:
        """The site's signing key, made on first use."""
        return Identity.at(self._kept("site.key"), self.name)

    @property
    def policy(self) -> Policy:
        """The site's policy, read afresh: an edit holds from the next decision on."""
        return read_policy(self.folder / POLICY_FILE)

    @property
    def witnessed(self) -> Path:
        """The folder of the checkpoints this site cosigned last."""
        return self._state / "witnessed"

    @property
    def log(self) -> Path:
        """Where full error texts stay."""
        return self._state / "site.log"

    def check_state(self) -> None:
        """Read what was kept of earlier runs, if any, so that damage is found before anything starts.

        Raises:
            WillisError: naming the file and the remedy.
        """
        if any((self._state / name).exists() for name in ("ledger.sqlite", "runs")):
            with self._ledger():
                Identity.at(self._kept("site.key"), self.name)
                self._kept("salt")

    def cohort(self, roles: Sequence[Role]) -> Cohort:
        """List the site's patients (see `find_cohort`)."""
        return find_cohort(self.images, roles)

    def commitment(self, cohort: Cohort) -> str:
        """Return the salted digest of the patient list that the site signs instead of the list."""
        path = self._kept("salt")
        if not path.exists():
            write_durably(path, os.urandom(32))
        return hashlib.sha256(path.read_bytes() + canonical(cohort.ids)).hexdigest()

    def outbox(self, run: str) -> Outbox:
        """What was answered in a run."""
        return Outbox(self._run_folder(run))

    def enrol(self, cohort: Cohort) -> SignedEvent:
        """Return the signed statement of who the site is; the same bytes while the cohort is the same."""
        identity = self.identity
        event = Enrol(
            site=self.name,
            public_key=identity.public_key,
            patients=len(cohort.ids),
            cohort=self.commitment(cohort),
        )
        signed = SignedEvent.by(identity, event)
        with self._ledger(create=not (self._state / "runs").exists()) as ledger:
            ledger.append_once(signed, lambda known: known == event)
        return signed

    def reserve(self, run: Run, cohort: Cohort, *, resume: bool) -> SignedEvent:
        """Set budget aside for a run, durably, or refuse it: a signed event of the site's ledger.

        Raises:
            ProtocolError: the run was reserved before, with another plan or cohort, or with noise that cannot
                be repeated and without `resume`.
        """
        plan_file = self._run_folder(run.run) / "plan.json"
        (self._state / "runs").mkdir(exist_ok=True)
        with self._ledger() as ledger:
            known = history.reservation(ledger.events, run.run)
            if known is not None:
                self._check_same(known, run, cohort, resume=resume)
            signed = self._answer(ledger, known, run, cohort)
            if isinstance(signed.event, Reserve):
                write_durably(plan_file, event_bytes(run))
                if not resume:
                    self.outbox(run.run).forget_answers()
            return signed

    def settle(self, run: str) -> SignedEvent:
        """Say what was executed: the rounds begun, whether or not their updates were used."""
        with self._ledger() as ledger:
            plan = self.plan(run)
            rounds = self.outbox(run).rounds
            spending = history.executed(plan.spending, rounds * plan.steps_per_round)
            event = Settle(run=run, site=self.name, rounds=rounds, spending=spending)
            signed = SignedEvent.by(self.identity, event)
            if history.standing(ledger.events, run) != signed:
                ledger.append(signed)
            return signed

    def refuse(self, run: str, round_: int, reason: str) -> SignedEvent:
        """Refuse a request that goes beyond what was agreed, as an event of the site's ledger, once.

        Raises:
            ProtocolError: so much was refused before that no more is written down.
        """
        event = Refuse(run=run, site=self.name, by="site", round=round_, code=RequestRefused.code, reason=reason)
        signed = SignedEvent.by(self.identity, event)
        with self._ledger() as ledger:
            self._check_refusals(ledger)
            ledger.append_once(signed, lambda known: known == event)
        return signed

    def plan(self, run: str) -> Run:
        """Return the plan that was reserved, as this site keeps it.

        Raises:
            RequestRefused: nothing was reserved: no step may be made.
            CheckpointError: the file is damaged.
        """
        path = self._run_folder(run) / "plan.json"
        try:
            return Run.model_validate_json(path.read_bytes())
        except FileNotFoundError as err:
            raise RequestRefused(f"run {run} was never reserved here") from err
        except ValueError as err:
            raise CheckpointError(f"{path}: damaged; restore it from a backup or leave the run") from err

    def check_reserved(self, run: Run, cohort: Cohort) -> None:
        """Check, before a round's first private step, that budget for it is set aside.

        Raises:
            RequestRefused: it never was, or the run has been settled since.
            ProtocolError: the plan kept or the cohort is another now.
        """
        with self._ledger() as ledger:
            self._check_standing(ledger, run, cohort)

    def begin(self, run: Run, cohort: Cohort, round_: int, base: str) -> None:
        """Write down that a round's private steps begin, if budget for it is set aside.

        One hold of the site's lock covers both, so that a settlement meanwhile either counts this round or comes
        first and forbids it.

        Raises:
            RequestRefused: nothing is reserved for it, or the code or the base model is another.
            ProtocolError: the plan kept or the cohort is another now.
        """
        with self._ledger() as ledger:
            self._check_standing(ledger, run, cohort)
            outbox = self.outbox(run.run)
            history.executed(run.spending, (outbox.rounds + 1) * run.steps_per_round)
            outbox.begin(round_, base)

    def _check_standing(self, ledger: LedgerStore, run: Run, cohort: Cohort) -> None:
        stands = history.standing(ledger.events, run.run)
        if stands is None or not isinstance(stands.event, Reserve):
            raise RequestRefused(f"run {run.run} is not reserved here, or settled; reserve it before training")
        if stands.event.plan != digest(event_bytes(run)):
            raise ProtocolError(f"the plan kept for run {run.run} is not the one reserved; restore it")
        if stands.event.cohort != self.commitment(cohort):
            raise ProtocolError(f"the patients are not those run {run.run} was reserved for; restore them")
        if run.code != code_digest():
            raise RequestRefused(f"run {run.run} was reserved for other code than is installed here now")

    def _answer(self, ledger: LedgerStore, known: SignedEvent | None, run: Run, cohort: Cohort) -> SignedEvent:
        """Return the reservation or refusal that holds from now on, after writing it down where it is new."""
        if known is not None:
            settled = history.standing(ledger.events, run.run) != known
            if not settled or self.outbox(run.run).rounds == run.rounds:
                return known  # still set aside, or nothing left to spend: a repetition gives the same bytes
        policy = self.policy  # read apart from the decision: what is wrong with the file stays here
        if order := history.filter_order(ledger.events):
            policy = policy.model_copy(update={"renyi_order": order})  # fixed before any result, for good
        past = history.past(ledger.events, without=run.run, begun=self._begun())
        if known is not None and self.outbox(run.run).rounds:
            past = history.as_reserved(past, known)
        reason = _objection(policy, run, len(cohort.ids), past, known)
        if reason:
            refusal = Refuse(
                run=run.run, site=self.name, by="site", round=0, code=PolicyRefusal.code, reason=reason
            )
            signed = SignedEvent.by(self.identity, refusal)
        else:
            signed = known or self._reservation(policy, run, cohort, past)
        if isinstance(signed.event, Refuse):
            self._check_refusals(ledger)
        ledger.append(signed)
        return signed

    def _check_refusals(self, ledger: LedgerStore) -> None:
        """Let a refusal be written down, unless a coordinator asks so often that it would fill the disk."""
        if sum(isinstance(s.event, Refuse) for s in ledger.events) >= MOST_REFUSALS:
            raise ProtocolError("this site has refused too often to write down more")

    def _reservation(self, policy: Policy, run: Run, cohort: Cohort, past: tuple[Past, ...]) -> SignedEvent:
        event = Reserve(
            run=run.run,
            site=self.name,
            cohort=self.commitment(cohort),
            plan=digest(event_bytes(run)),
            recipe=run.recipe,
            variant=run.variant,
            spending=run.spending,
            delta=run.delta,
            cap=policy.cap,
            past=past,
            noise_source=run.noise_source,
        )
        return SignedEvent.by(self.identity, event)

    def _check_same(self, known: SignedEvent, run: Run, cohort: Cohort, *, resume: bool) -> None:
        """Let a reservation be answered again for a resumed run, or for a seeded one repeated to the byte."""
        event = known.event
        assert isinstance(event, Reserve)
        if (event.plan, event.cohort) != (digest(event_bytes(run)), self.commitment(cohort)):
            raise ProtocolError(f"run {run.run} was reserved with another plan or cohort; choose another seed")
        if not resume and run.noise_source is not NoiseSource.SEEDED:
            raise ProtocolError(f"run {run.run} was reserved before; resume it or start another")

    def _run_folder(self, run: str) -> Path:
        """Return the folder of a run; its name comes from outside and must not lead anywhere else."""
        if not _RUN_NAME.fullmatch(run):
            raise ProtocolError("a run is named by 8 to 64 hexadecimal digits")
        return self._state / "runs" / run

    def _kept(self, name: str) -> Path:
        """Return a secret's file; once the ledger is there, a missing one is lost and not to be made anew."""
        path, ledger = self._state / name, self._state / "ledger.sqlite"
        if not path.exists() and ledger.exists():
            raise LedgerError(f"{path}: missing, and {ledger.name} rests on it; restore it from a backup")
        return path

    @contextmanager
    def _ledger(self, *, create: bool = False) -> Iterator[LedgerStore]:
        """Open the site's ledger and hold it: what is decided from it and written to it is one step.

        One that vanished, lacks a run reserved here, or settled less than was begun, is an error, not a new one.
        """
        self._state.mkdir(parents=True, exist_ok=True)
        with (self._state / "site.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            ledger = LedgerStore(self._state / "ledger.sqlite", create=create)
            try:
                for run in self._runs():
                    self._check_whole(ledger, run)
                yield ledger
            finally:
                ledger.close()

    def _check_whole(self, ledger: LedgerStore, run: str) -> None:
        stands = history.standing(ledger.events, run)
        if stands is None:
            msg = f"{ledger.path}: lacks run {run}, which was reserved here"
            raise LedgerError(f"{msg}; restore a later copy")
        if isinstance(stands.event, Settle) and stands.event.rounds < self.outbox(run).rounds:
            msg = f"{ledger.path}: run {run} went on after what is settled here"
            raise LedgerError(f"{msg}; restore a later copy")

    def _runs(self) -> list[str]:
        """Return the runs reserved here, by their folders."""
        return sorted(path.parent.name for path in (self._state / "runs").glob("*/plan.json"))

    def _begun(self) -> dict[str, Spending]:
        """Return what every run cost by the questions it was asked, whatever was settled."""
        plans = {run: self.plan(run) for run in self._runs()}
        rounds = {run: self.outbox(run).rounds for run in plans}
        return {r: history.executed(p.spending, rounds[r] * p.steps_per_round) for r, p in plans.items()}


def _objection(policy: Policy, run: Run, patients: int, past: tuple[Past, ...], known: SignedEvent | None) -> str:
    """Return why a run may not be reserved (again), or ""; nothing in it is computed from patients."""
    if known is not None and isinstance(known.event, Reserve) and known.event.past != past:
        return "the run was settled and other runs were reserved, or ran, since; start another run"
    try:
        decide(policy, run, patients, past, code_digest())
    except (PolicyRefusal, UsageError) as err:  # a cap that means nothing at the filter's order is one, too
        return str(err)
    return ""
