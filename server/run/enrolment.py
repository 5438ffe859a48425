"""Who takes part: sites that say who they are, in events signed with their own keys."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flwr.app import RecordDict
from flwr.serverapp import Grid

from server.run.averaging import MAX_PATIENTS
from server.run.exchange import NoAnswer, ask, connected
from server.run.job import Job
from server.run.patience import STRICT, Patience
from shared.errors import ProtocolError
from shared.ledger.events import Enrol, Federation
from shared.ledger.log import SignedEvent
from shared.ledger.store import LedgerStore
from shared.messages import ENROL, EnrolRequest, EventReply, Failure, pack, unpack


@dataclass(frozen=True)
class Member:
    """A site of the federation: where Flower finds it and what it signed on enrolling."""

    node: int
    enrol: Enrol

    @property
    def name(self) -> str:
        """The site's name."""
        return self.enrol.site


@dataclass
class Arrivals:
    """Sites that said who they are, by name, and why others are left out, by name or node."""

    nodes: set[int] = field(default_factory=set)  # who answered, or was silent: not worth asking twice
    members: dict[str, Member] = field(default_factory=dict)
    signed: dict[str, SignedEvent] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def complaints(self) -> str:
        """Why sites are left out, in one line."""
        return "; ".join(f"{who}: {why}" for who, why in sorted(self.left_out.items()))

    def leave_out(self, name: str, why: str) -> None:
        """Take a site out again."""
        self.members.pop(name, None)
        self.signed.pop(name, None)
        self.left_out[name] = why


def enrol(
    grid: Grid,
    job: Job,
    ledger: LedgerStore,
    patience: Patience = STRICT,
    approved: Mapping[str, str] | None = None,
) -> Arrivals:
    """Ask every connected node who it is; the enrolments of those that take part are then in the ledger.

    `approved` are the sites that may take part, name -> signing key; None: any.

    Raises:
        ProtocolError: too few can take part; without a quorum, one that is connected cannot.
    """
    need = patience.sites_needed(job.sites)
    nodes = connected(grid, job.sites, deadline=patience.arrival_seconds)
    if len(nodes) < need:
        raise ProtocolError(
            f"{len(nodes)} of {job.sites} sites are connected; start the others, then resume the run"
        )
    found = identify(grid, nodes, job, patience, _keys(ledger), approved)
    if len(found.members) < need or (patience.quorum is None and found.left_out):
        raise ProtocolError(found.complaints)
    patients = sum(member.enrol.patients for member in found.members.values())
    if patients > MAX_PATIENTS:
        raise ProtocolError(f"the sites declare {patients} patients; an exact average holds {MAX_PATIENTS}")
    for name in sorted(found.members):
        record(ledger, found.signed[name])
    return found


def find(
    grid: Grid,
    job: Job,
    enrolled: Sequence[Enrol],
    patience: Patience = STRICT,
    approved: Mapping[str, str] | None = None,
) -> Arrivals:
    """Ask every connected node who it is, to go on with a run; return those that it began with.

    Raises:
        ProtocolError: too few are there; without a quorum, one is missing.
    """
    need = patience.sites_needed(len(enrolled))
    nodes = connected(grid, len(enrolled), deadline=patience.arrival_seconds)
    found = recognise(identify(grid, nodes, job, patience, {}, approved), enrolled)
    if len(found.members) < need:
        reasons = f" ({found.complaints})" if found.left_out else ""
        raise ProtocolError(
            f"{len(found.members)} of the {len(enrolled)} sites that this run began with are here and {need} are "
            f"needed{reasons}; start the others, then resume the run"
        )
    return found


def identify(
    grid: Grid,
    nodes: Sequence[int],
    job: Job,
    patience: Patience,
    keys: Mapping[str, str],
    approved: Mapping[str, str] | None,
) -> Arrivals:
    """Ask nodes who they are. A name may stand for one key only: that of `keys`, and the one approved."""
    nonce = secrets.token_hex(16)
    request = pack(EnrolRequest(recipe=job.recipe, variant=job.variant, preset=job.preset, nonce=nonce))
    found = Arrivals()
    strangers: dict[str, str] = {}
    requests = {node: request for node in nodes}
    for node, content in ask(grid, ENROL, requests, group=ENROL, wait=patience.wait_for_answers()):
        if content == NoAnswer("silent") or not isinstance(content, NoAnswer):
            found.nodes.add(node)
        try:
            reply = event_reply(content)
            signed, event = reply.signed, reply.signed.event
            if not isinstance(event, Enrol) or not signed.is_signed_by(event.public_key):
                raise ProtocolError("it did not answer with its own signed enrolment")
            if not reply.is_fresh(event.public_key, nonce):
                raise ProtocolError("it answered with an enrolment that another made, or at another time")
            if signed.signer != event.site:
                raise ProtocolError("it signed as another than it enrols")
        except ProtocolError as err:
            found.left_out[f"node {node}"] = str(err)
            continue
        if event.site in found.left_out:
            continue
        if why := _stranger(event, keys, approved):
            strangers[event.site] = why
        elif event.site in found.members:
            found.leave_out(event.site, "two nodes call themselves so; rename one")
        else:
            found.members[event.site], found.signed[event.site] = Member(node, event), signed
    # Whoever only calls himself like a site keeps that site from nothing.
    found.left_out |= {name: why for name, why in strangers.items() if name not in found.members}
    return found


def recognise(found: Arrivals, enrolled: Sequence[Enrol]) -> Arrivals:
    """Leave out whoever a run did not begin with, or who came back as another."""
    began = {event.site: event for event in enrolled}
    for name, member in list(found.members.items()):
        if name not in began:
            found.leave_out(name, "the run began without it")
        elif member.enrol.public_key != began[name].public_key:
            found.leave_out(name, "it came back with another key than it enrolled with")
        elif member.enrol != began[name]:
            found.leave_out(name, "its patients are not those that the run began with")
    return found


def signed_event(content: RecordDict | NoAnswer) -> SignedEvent:
    """Return the signed event of an answer (see `event_reply`)."""
    return event_reply(content).signed


def event_reply(content: RecordDict | NoAnswer) -> EventReply:
    """Return an answer that holds a signed event.

    Raises:
        ProtocolError: there is none; the sentence says why.
    """
    if isinstance(content, NoAnswer):
        raise ProtocolError(content.sentence)
    try:
        return unpack(content, EventReply)
    except ProtocolError:
        failure = unpack(content, Failure)
        raise ProtocolError(
            f"{failure.site} says {failure.sentence} ({failure.code}); see that site's .willis/site.log"
        ) from None


def record(ledger: LedgerStore, signed: SignedEvent) -> None:
    """Append a site's event, once."""
    ledger.append_once(signed, lambda known: known == signed.event)


def _keys(ledger: LedgerStore) -> dict[str, str]:
    """Return the keys that names stand for in this ledger for good: the coordinator's, and those of sites."""
    return {s.signer: s.event.public_key for s in ledger.events if isinstance(s.event, Enrol | Federation)}


def _stranger(event: Enrol, keys: Mapping[str, str], approved: Mapping[str, str] | None) -> str:
    """Return why a site may not take part, or ""."""
    if approved is not None and approved.get(event.site) != event.public_key:
        return "it is not approved for this run, or has another key"
    if keys.get(event.site, event.public_key) != event.public_key:
        return "it was enrolled before with another key; restore that key"
    return ""
