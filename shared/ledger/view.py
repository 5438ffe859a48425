"""Runs as their ledger tells them: the events of each run, sorted by kind. Pure; nothing is checked here."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from shared.errors import LedgerError
from shared.ledger.events import (
    Approval,
    Enrol,
    Event,
    Federation,
    Gate,
    Incident,
    Refuse,
    Release,
    Reserve,
    Round,
    Run,
    Settle,
    Steward,
)
from shared.ledger.log import Head, SignedEvent, line
from shared.ledger.merkle import Frontier, leaf_hash
from shared.privacy.events import NoiseSource, Spending, Unit


class Status(StrEnum):
    """How far a run's spending is known."""

    SETTLED = "settled"  # every reserving site has said what it really executed
    UNSETTLED = "unsettled"  # some reservation is open and counts as spent in full
    REFUSED = "refused"  # a site refused and no round took place


@dataclass
class RunView:
    """The events of one run; dictionaries are keyed by site, in order of the ledger."""

    federation: Federation
    run: Run
    enrolled: dict[str, Enrol] = field(default_factory=dict)  # as it stood when the site reserved or refused
    reserves: dict[str, Reserve] = field(default_factory=dict)
    settles: dict[str, Settle] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    refusals: list[Refuse] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    stewards: list[tuple[int, Steward]] = field(default_factory=list)  # of the whole federation, with their places
    entries: list[tuple[int, Event]] = field(default_factory=list)  # (place in the ledger, event)

    @property
    def status(self) -> Status:
        """See `Status`."""
        if not self.rounds and any(r.by == "site" for r in self.refusals):
            return Status.REFUSED
        open_sites = self.reserves.keys() - self.settles.keys()
        return Status.SETTLED if self.reserves and not open_sites else Status.UNSETTLED

    def spent(self, site: str) -> Spending:
        """Return what counts as spent: what was settled, or all that was reserved while it is not."""
        settled = self.settles.get(site)
        return settled.spending if settled else self.reserves[site].spending

    @property
    def is_private(self) -> bool:
        """Whether every plan and everything spent in the run was noised."""
        return self.run.spending.is_private and all(self.spent(site).is_private for site in self.reserves)

    @property
    def is_patient_level(self) -> bool:
        """Whether the unit of privacy is the patient at every site and in the plan."""
        spendings = [self.run.spending, *(self.spent(site) for site in self.reserves)]
        return all(s.unit is Unit.PATIENT for s in spendings)

    @property
    def noise_source(self) -> NoiseSource:
        """Where the noise came from; one seeded site is enough to call the run seeded."""
        sources = [self.run.noise_source, *(r.noise_source for r in self.reserves.values())]
        return NoiseSource.SEEDED if NoiseSource.SEEDED in sources else NoiseSource.SYSTEM

    @property
    def is_seeded(self) -> bool:
        """Whether the noise can be computed again from a seed."""
        return self.noise_source is NoiseSource.SEEDED

    def take(self, index: int, event: Event) -> None:
        """Sort in one event of this run, entry `index` of the ledger."""
        self.entries.append((index, event))
        if isinstance(event, Reserve):
            self.reserves[event.site] = event
        elif isinstance(event, Settle):
            self.settles[event.site] = event
        elif isinstance(event, Round):
            self.rounds.append(event)
            for site in event.sites:
                self.settles.pop(site, None)  # settled too early: the site went on
        elif isinstance(event, Refuse):
            self.refusals.append(event)
        elif isinstance(event, Release):
            self.releases.append(event)
        elif isinstance(event, Gate):
            self.gates.append(event)
        elif isinstance(event, Approval):
            self.approvals.append(event)
        elif isinstance(event, Incident):
            self.incidents.append(event)

    def in_office(self, index: int = sys.maxsize) -> dict[str, str]:
        """Return name -> public key of the stewards as it stood before entry `index`, or after all of them."""
        return stewards_in_office(event for place, event in self.stewards if place < index)

    def before(self, index: int) -> "RunView":
        """Return the run as it stood before entry `index`."""
        stewards = [(place, event) for place, event in self.stewards if place < index]
        past = RunView(self.federation, self.run, enrolled=dict(self.enrolled), stewards=stewards)
        for place, event in self.entries:
            if place < index:
                past.take(place, event)
        return past


def stewards_in_office(events: Iterable[Event]) -> dict[str, str]:
    """Return name -> public key of the stewards that these events name, and do not withdraw again."""
    found: dict[str, str] = {}
    for event in events:
        if isinstance(event, Steward):
            found.pop(event.name, None)
            found |= {event.name: event.public_key} if event.state == "named" else {}
    return found


def founding(events: Sequence[SignedEvent], where: str = "this ledger") -> Federation:
    """Return what a ledger's first entry says: whose it is, and on what terms.

    Raises:
        LedgerError: it is not a federation's; names `where`.
    """
    first = events[0].event if events else None
    if not isinstance(first, Federation):
        raise LedgerError(f"{where} does not begin with its federation; restore it from a copy")
    return first


def views(events: Sequence[SignedEvent]) -> dict[str, RunView]:
    """Return every run of a ledger by its id, in order of declaration.

    Raises:
        LedgerError: the ledger does not begin with a federation, or speaks of a run never declared.
    """
    federation, enrolled = founding(events), dict[str, Enrol]()
    stewards: list[tuple[int, Steward]] = []  # one list, which every run sees
    found: dict[str, RunView] = {}
    for index, event in enumerate(signed.event for signed in events):
        if isinstance(event, Federation):
            continue
        if isinstance(event, Enrol):
            enrolled[event.site] = event
            continue
        if isinstance(event, Steward):
            stewards.append((index, event))
            continue
        if isinstance(event, Run):
            found.setdefault(event.run, RunView(federation, event, stewards=stewards))
        if event.run not in found:
            raise LedgerError(f"entry {index}: run {event.run[:12]} was never declared; restore a copy")
        seen = found[event.run]
        if isinstance(event, Reserve | Refuse) and event.site in enrolled:
            seen.enrolled.setdefault(event.site, enrolled[event.site])
        seen.take(index, event)
    return found


def view(events: Sequence[SignedEvent], run: str) -> RunView:
    """Return one run of a ledger.

    Raises:
        LedgerError: the ledger has no such run (or see `views`).
    """
    found = views(events).get(run)
    if found is None:
        raise LedgerError(f"run {run[:12]} is not in this ledger; name a run that is")
    return found


def lines_of(events: Iterable[SignedEvent]) -> list[bytes]:
    """Return the lines of the log that consists of exactly `events`."""
    return [line(index, signed) for index, signed in enumerate(events)]


def head_of(lines: Iterable[bytes]) -> Head:
    """Return the head of the log that consists of exactly these lines."""
    tree = Frontier()
    for raw in lines:
        tree.append(leaf_hash(raw))
    return Head(tree.size, tree.root.hex())


def first_release(seen: RunView, size: int) -> int:
    """Return how many entries of a ledger of `size` everything that is released of a run builds on.

    They end where its first release begins, at its gate: so publishing again gives the same bytes.
    """
    return next((index for index, event in seen.entries if isinstance(event, Gate | Release)), size)
