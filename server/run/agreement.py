"""What coordinator and sites agree on before and after training, as events signed by the sites."""

from collections.abc import Sequence

from flwr.serverapp import Grid

from server.run.enrolment import Member, record, signed_event
from server.run.exchange import ask
from server.run.patience import STRICT, Patience
from shared.canonical import digest
from shared.errors import PolicyRefusal, ProtocolError
from shared.ledger.events import Refuse, Reserve, Run, Settle
from shared.ledger.log import SignedEvent, event_bytes
from shared.ledger.store import LedgerStore
from shared.ledger.verify_spending import exceeds
from shared.messages import RESERVE, SETTLE, ReserveRequest, SettleRequest, pack


def reserve(
    grid: Grid,
    run: Run,
    members: Sequence[Member],
    ledger: LedgerStore,
    *,
    resume: bool,
    need: int | None = None,
    patience: Patience = STRICT,
) -> tuple[dict[str, str], dict[str, str]]:
    """Have every site set budget aside before any training; return who refuses, and who did not answer, with why.

    `need` is how many must reserve; None: all.

    Raises:
        PolicyRefusal: too many refuse; the reason carries the figures. Nothing was spent: the sites that did
            reserve settle at zero steps.
        ProtocolError: too few answered; likewise.
    """
    need = len(members) if need is None else need
    by_node = {m.node: m for m in members}
    first = dict.fromkeys(by_node, pack(ReserveRequest(run=run, resume=resume)))
    # A site that reserved, and whose answer was lost, must not take the question for a new run's.
    again = dict.fromkeys(by_node, pack(ReserveRequest(run=run, resume=True)))
    answers: dict[str, SignedEvent] = {}
    left_out: dict[str, str] = {}

    def reserved() -> list[Member]:
        return [m for m in members if m.name in answers and isinstance(answers[m.name].event, Reserve)]

    wait = patience.wait_for_answers(lambda: len(reserved()) >= need)
    for node, content in ask(grid, RESERVE, first, group=RESERVE, wait=wait, again=again):
        member = by_node[node]
        try:
            answers[member.name] = _reservation(run, member, signed_event(content))
        except ProtocolError as err:
            left_out[member.name] = str(err)
    for name in sorted(answers):
        record(ledger, answers[name])
    refusals = {name: s.event.reason for name, s in sorted(answers.items()) if isinstance(s.event, Refuse)}
    if len(reserved()) < need:
        settle(grid, run, reserved(), ledger, patience)
        if refusals:
            raise PolicyRefusal("; ".join(f"{name} refuses: {why}" for name, why in refusals.items()))
        raise ProtocolError("; ".join(f"{name}: {why}" for name, why in sorted(left_out.items())))
    return refusals, left_out


def settle(
    grid: Grid, run: Run, members: Sequence[Member], ledger: LedgerStore, patience: Patience = STRICT
) -> dict[str, str]:
    """Have every site say what it executed; return why sites did not, by name.

    One that does not answer stays charged with its reservation.
    """
    request = pack(SettleRequest(run=run.run))
    by_node = {m.node: m for m in members}
    left_out: dict[str, str] = {}
    answers: dict[str, SignedEvent] = {}
    wait = patience.wait_for_answers(lambda: True)
    for node, content in ask(grid, SETTLE, dict.fromkeys(by_node, request), group=SETTLE, wait=wait):
        member = by_node[node]
        try:
            answers[member.name] = _settlement(run, member, signed_event(content))
        except ProtocolError as err:
            left_out[member.name] = str(err)
    for name in sorted(answers):
        record(ledger, answers[name])
    return left_out


def _reservation(run: Run, member: Member, signed: SignedEvent) -> SignedEvent:
    event = signed.event
    if not isinstance(event, Reserve | Refuse) or (event.run, event.site) != (run.run, member.name):
        raise ProtocolError("it answered a reservation with something else")
    if isinstance(event, Refuse) and event.by != "site":
        raise ProtocolError("it refused in the coordinator's name")
    if isinstance(event, Reserve):
        agreed = event.plan, event.spending, event.cohort
        if agreed != (digest(event_bytes(run)), run.spending, member.enrol.cohort):
            raise ProtocolError("it reserved another plan than the one asked for, or for other patients")
    return _own(signed, member)


def _settlement(run: Run, member: Member, signed: SignedEvent) -> SignedEvent:
    event = signed.event
    if not isinstance(event, Settle) or (event.run, event.site) != (run.run, member.name):
        raise ProtocolError("it answered a settlement with something else")
    if exceeds(event.spending, run.spending):
        raise ProtocolError("it settled more than it reserved")
    return _own(signed, member)


def _own(signed: SignedEvent, member: Member) -> SignedEvent:
    if signed.signer != member.name or not signed.is_signed_by(member.enrol.public_key):
        raise ProtocolError("its answer is not signed with its key")
    return signed
