"""What coordinator and sites agree on before and after training, as events signed by the sites."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from flwr.app import RecordDict
from flwr.serverapp import Grid

from server.run.averaging import MAX_PATIENTS
from server.run.exchange import ask, connected
from server.run.job import Job
from shared.errors import PolicyRefusal, ProtocolError, WillisError
from shared.ledger.events import Enrol, Refuse, Reserve, Run, Settle
from shared.ledger.log import SignedEvent
from shared.ledger.store import LedgerStore
from shared.messages import (
    ENROL,
    RESERVE,
    SETTLE,
    Body,
    EnrolRequest,
    EventReply,
    Failure,
    ReserveRequest,
    SettleRequest,
    pack,
    unpack,
)

ARRIVAL_DEADLINE = 120.0  # seconds for all sites to be connected
SITE_DEADLINE = 600.0  # seconds for a site to read its file list and its ledger
AnyEvent = TypeVar("AnyEvent", Enrol, Reserve | Refuse, Settle)


@dataclass(frozen=True)
class Member:
    """A site of the federation: where Flower finds it and what it signed on enrolling."""

    node: int
    enrol: Enrol

    @property
    def name(self) -> str:
        """The site's name."""
        return self.enrol.site


def enrol(grid: Grid, job: Job, ledger: LedgerStore) -> list[Member]:
    """Ask every connected node who it is; return the members in order of name, all in the ledger.

    Raises:
        ProtocolError: a site cannot take part, two call themselves the same, or a key changed.
    """
    request = EnrolRequest(recipe=job.recipe, variant=job.variant, preset=job.preset)
    nodes = connected(grid, job.sites, deadline=ARRIVAL_DEADLINE)
    if len(nodes) < job.sites:
        raise ProtocolError(f"{len(nodes)} of {job.sites} sites are connected; start the others, then --resume")
    answers = _ask_all(grid, ENROL, {node: request for node in nodes})
    members: dict[str, tuple[Member, SignedEvent]] = {}
    for node, signed in answers.items():
        event = signed.event
        if (
            not isinstance(event, Enrol)
            or signed.signer != event.site
            or not signed.is_signed_by(event.public_key)
        ):
            raise ProtocolError(f"node {node} did not answer with its own signed enrolment")
        if event.site in members:
            raise ProtocolError(f"two nodes call themselves {event.site}; rename one")
        members[event.site] = Member(node, event), signed
    patients = sum(member.enrol.patients for member, _ in members.values())
    if patients > MAX_PATIENTS:
        raise ProtocolError(f"the sites declare {patients} patients; an exact average holds {MAX_PATIENTS}")
    for name in sorted(members):
        _record(ledger, members[name][1])
    return [members[name][0] for name in sorted(members)]


def reserve(grid: Grid, run: Run, members: list[Member], ledger: LedgerStore, *, resume: bool) -> None:
    """Have every site set budget aside before any training.

    Raises:
        PolicyRefusal: a site refuses; the reason carries the figures. Nothing was spent: the sites that did
            reserve settle at zero steps.
    """
    requests = {m.node: ReserveRequest(run=run, resume=resume) for m in members}
    answers = _ask_all(grid, RESERVE, requests)
    refused: list[Refuse] = []
    for member in members:
        signed = answers[member.node]
        event = signed.event
        if not isinstance(event, Reserve | Refuse) or (event.run, event.site) != (run.run, member.name):
            raise ProtocolError(f"{member.name} answered a reservation with something else")
        if isinstance(event, Reserve) and event.spending != run.spending:
            raise ProtocolError(f"{member.name} reserved another plan than the one asked for")
        _record(ledger, signed)
        if isinstance(event, Refuse):
            refused.append(event)
    if refused:
        settle(grid, run, [m for m in members if m.name not in {r.site for r in refused}], ledger)
        raise PolicyRefusal("; ".join(f"{r.site} refuses: {r.reason}" for r in refused))


def settle(grid: Grid, run: Run, members: list[Member], ledger: LedgerStore) -> None:
    """Have every site say what it executed; one that does not answer stays charged with its reservation."""
    requests = {m.node: SettleRequest(run=run.run) for m in members}
    answers = _ask_all(grid, SETTLE, requests, strict=False)
    for member in members:
        signed = answers.get(member.node)
        if signed is None or not isinstance(signed.event, Settle):
            continue
        if (signed.event.run, signed.event.site) == (run.run, member.name):
            _record(ledger, signed)


def _record(ledger: LedgerStore, signed: SignedEvent) -> None:
    ledger.append_once(signed, lambda known: known == signed.event)


def _ask_all(
    grid: Grid, kind: str, requests: Mapping[int, Body], *, strict: bool = True
) -> dict[int, SignedEvent]:
    """Return each node's signed event.

    Raises:
        ProtocolError: `strict`, and a node did not answer or could not.
    """
    contents = {node: pack(body) for node, body in requests.items()}
    answers: dict[int, SignedEvent] = {}
    problems: list[str] = []
    for node, content in ask(grid, kind, contents, group=kind, deadline=SITE_DEADLINE):
        try:
            answers[node] = _signed_event(node, content)
        except WillisError as err:
            problems.append(str(err))
    if strict and problems:
        raise ProtocolError("; ".join(sorted(problems)))
    return answers


def _signed_event(node: int, content: RecordDict | None) -> SignedEvent:
    if content is None:
        raise ProtocolError(f"node {node} did not answer within {SITE_DEADLINE:.0f} s")
    try:
        return unpack(content, EventReply).signed
    except ProtocolError:
        failure = unpack(content, Failure)
        raise ProtocolError(
            f"{failure.site}: {failure.sentence} ({failure.code}); see that site's .willis/site.log"
        ) from None
