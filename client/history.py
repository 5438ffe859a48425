"""What a site's own ledger says of a run: whether it is open, and what it counts as having cost. Pure.

A run may be reserved, settled, and reserved again when it is resumed: the latest of these entries holds.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from shared.errors import RequestRefused
from shared.ledger.budget import is_first
from shared.ledger.events import Past, Reserve, Settle
from shared.ledger.log import SignedEvent
from shared.privacy.events import NonPrivate, SampledGaussian, Spending


def reservation(events: Sequence[SignedEvent], run: str) -> SignedEvent | None:
    """Return the latest reservation of a run, settled or not."""
    return next((s for s in reversed(events) if isinstance(s.event, Reserve) and s.event.run == run), None)


def standing(events: Sequence[SignedEvent], run: str) -> SignedEvent | None:
    """Return the latest reservation or settlement of a run: what it stands at."""
    return next(
        (s for s in reversed(events) if isinstance(s.event, Reserve | Settle) and s.event.run == run), None
    )


def past(
    events: Sequence[SignedEvent], *, without: str = "", begun: Mapping[str, Spending] = MappingProxyType({})
) -> tuple[Past, ...]:
    """Return what runs cost, in order: as settled, or in full while reserved; the run `without` is left out.

    A run counts at least as `begun`, whatever a settlement says; one of which nothing is begun is marked so. The
    first that cost patients anything, and those reserved before it ran, count in full for good: that they stopped
    early may have been decided in the light of what they showed.
    """
    reserved: dict[str, Reserve] = {}
    spent: dict[str, Spending] = {}
    for signed in events:
        event = signed.event
        if isinstance(event, Reserve):
            reserved[event.run] = event
        if isinstance(event, Reserve | Settle):
            spent[event.run] = event.spending
    for run, spending in begun.items():
        if run in spent and spending.steps > spent[run].steps:
            spent[run] = spending
    costly = [run for run in reserved if spent[run].steps and spent[run].protects_patients]
    for run in costly:
        if run == costly[0] or is_first(reserved[run].past):
            spent[run] = reserved[run].spending
    return tuple(
        Past(
            run=run,
            recipe=event.recipe,
            variant=event.variant,
            spending=spent[run],
            unseen=run in begun and not begun[run].steps,
        )
        for run, event in reserved.items()
        if run != without and spent[run].steps
    )


def as_reserved(past: tuple[Past, ...], known: SignedEvent) -> tuple[Past, ...]:
    """Return the past of a run that began as its reservation has it, if but what had run at the time differs.

    A run that began is counted in full ever since, so that what ran meanwhile was chosen with it. One that was
    given back before it began is not: were it taken up again, it would be chosen from several in the light of what
    ran, and no price of plans fixed together covers that.
    """
    then = known.event.past if isinstance(known.event, Reserve) else ()
    unmarked = [[one.model_copy(update={"unseen": False}) for one in each] for each in (past, then)]
    return then if unmarked[0] == unmarked[1] else past


def filter_order(events: Sequence[SignedEvent]) -> int | None:
    """Return the order of the Rényi filter that the first patient-level reservation fixed for good."""
    reserves = (s.event for s in events if isinstance(s.event, Reserve))
    return next((event.cap.order for event in reserves if event.spending.protects_patients), None)


def executed(reserved: Spending, steps: int) -> Spending:
    """Return the reserved plan cut down to `steps`; plans have one mechanism a run.

    Raises:
        RequestRefused: more was begun than reserved.
    """
    (mechanism,) = reserved.mechanisms
    if steps > mechanism.steps:
        raise RequestRefused(f"{steps} steps were begun and only {mechanism.steps} reserved")
    ran: SampledGaussian | NonPrivate = mechanism.model_copy(update={"steps": steps})
    return Spending(unit=reserved.unit, relation=reserved.relation, mechanisms=(ran,))
