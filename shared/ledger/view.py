"""One run as its ledger tells it: the events of the run, sorted by kind. Pure; nothing is checked here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from shared.canonical import digest
from shared.errors import LedgerError
from shared.ledger.events import Enrol, Event, Refuse, Release, Reserve, Round, Run, Settle
from shared.ledger.log import GENESIS, Head, SignedEvent, line
from shared.privacy.events import NoiseSource, Spending, Unit


class Status(StrEnum):
    """How far a run's spending is known."""

    SETTLED = "settled"  # every reserving site has said what it really executed
    UNSETTLED = "unsettled"  # some reservation is open and counts as spent in full
    REFUSED = "refused"  # a site refused and no round took place


@dataclass
class RunView:
    """The events of one run; dictionaries are keyed by site, in order of enrolment or of the ledger."""

    run: Run
    enrolled: dict[str, Enrol] = field(default_factory=dict)
    reserves: dict[str, Reserve] = field(default_factory=dict)
    settles: dict[str, Settle] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    refusals: list[Refuse] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)

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

    def take(self, event: Event) -> None:
        """Sort one event in; events of other runs are left out."""
        if isinstance(event, Enrol):
            self.enrolled[event.site] = event
        elif event.run != self.run.run:
            return
        elif isinstance(event, Reserve):
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


def view(events: Sequence[SignedEvent], run: str) -> RunView:
    """Return the events of `run`.

    Raises:
        LedgerError: the ledger has no such run.
    """
    declared = [s.event for s in events if isinstance(s.event, Run) and s.event.run == run]
    if not declared:
        raise LedgerError(f"run {run[:12]} is not in this ledger; name a run that is")
    found = RunView(declared[0])
    for signed in events:
        found.take(signed.event)
    return found


def only_run(events: Sequence[SignedEvent]) -> str:
    """Return the id of the one run a run folder's ledger holds.

    Raises:
        LedgerError: it holds none, or several.
    """
    runs = sorted({s.event.run for s in events if isinstance(s.event, Run)})
    if len(runs) != 1:
        raise LedgerError(f"this ledger holds {len(runs)} runs instead of one; use a folder for every run")
    return runs[0]


def lines_of(events: Sequence[SignedEvent]) -> list[bytes]:
    """Return the lines of the log that consists of exactly `events`."""
    head, lines = Head(0, GENESIS), []
    for signed in events:
        lines.append(line(head, signed))
        head = Head(head.size + 1, digest(lines[-1]))
    return lines


def head_of(events: Sequence[SignedEvent]) -> Head:
    """Return the head of the log that consists of exactly `events`."""
    lines = lines_of(events)
    return Head(len(lines), digest(lines[-1]) if lines else GENESIS)


def before_release(events: Sequence[SignedEvent], run: str) -> list[SignedEvent]:
    """Return the entries before the first release of `run`: what a data set can refer to, now and later."""
    kept: list[SignedEvent] = []
    for signed in events:
        if isinstance(signed.event, Release) and signed.event.run == run:
            break
        kept.append(signed)
    return kept
