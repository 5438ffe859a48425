"""Have the hospitals witness the ledger: each checks that it only grew since it last looked, and cosigns.

A coordinator that shows two hospitals two histories, or goes back to an older one, meets a hospital whose kept
checkpoint does not fit; it refuses, and the run stops.
"""

from collections.abc import Sequence
from contextlib import suppress

from flwr.app import RecordDict
from flwr.serverapp import Grid

from server.ledger.home import Home
from server.run.enrolment import Member
from server.run.exchange import NoAnswer, ask
from server.run.patience import STRICT, Patience
from shared.errors import LedgerError, ProtocolError
from shared.ledger.checkpoint import Checkpoint, witness_name
from shared.ledger.merkle import consistency_proof, leaf_hash
from shared.ledger.store import LedgerStore
from shared.messages import WITNESS, Failure, WitnessReply, WitnessRequest, pack, unpack


def witness(
    grid: Grid, members: Sequence[Member], home: Home, ledger: LedgerStore, patience: Patience = STRICT
) -> Checkpoint:
    """Return a checkpoint of the whole ledger with the cosignature of every member that answered; it is kept.

    Raises:
        LedgerError: a member keeps a checkpoint that this ledger does not grow from.
    """
    leaves = [leaf_hash(raw) for raw in ledger.lines]
    signed = Checkpoint.by(home.identity, ledger.head)
    known = home.witnessed()
    if known and known.head.size > ledger.head.size:
        raise LedgerError(
            f"{ledger.path}: {ledger.head.size} entries, and hospitals witnessed {known.head.size}: "
            "an older copy was brought back; restore the latest ledger"
        )
    named = {name for name, _ in known.signatures} if known else set()
    start = {m.node: known.head.size if known and witness_name(m.name) in named else 0 for m in members}
    by_node = {m.node: m for m in members}
    cosigned: dict[str, tuple[str, bytes]] = {}
    for _ in range(2):  # once more where a site keeps another size than was thought
        requests = {
            node: pack(
                WitnessRequest(
                    coordinator=home.identity.public_key,
                    checkpoint=signed.text,
                    old_size=size,
                    proof=tuple(h.hex() for h in consistency_proof(leaves, size)),
                )
            )
            for node, size in start.items()
        }
        start = {}
        wait = patience.wait_for_answers(lambda: True)
        for node, content in ask(grid, WITNESS, requests, group=WITNESS, wait=wait):
            member = by_node[node]
            reply = _reply(member.name, content)
            if reply is None:
                continue
            if reply.size > ledger.head.size:
                raise LedgerError(_forked(member.name))
            if reply.signature:
                cosigned |= _cosignature(signed, member, reply) if reply.size == ledger.head.size else {}
            elif reply.size >= 0:
                start[node] = reply.size
    full = signed.with_signatures(*(cosigned[name] for name in sorted(cosigned)))
    home.keep_witnessed(full)
    return full


def _cosignature(signed: Checkpoint, member: Member, reply: WitnessReply) -> dict[str, tuple[str, bytes]]:
    """Return a member's cosignature under its name; one that is not its own, of this checkpoint, is left out."""
    try:
        found = (reply.name, bytes.fromhex(reply.signature))
    except ValueError:
        return {}
    genuine = signed.with_signatures(found).cosigned_by(member.name, member.enrol.public_key)
    return {member.name: found} if genuine else {}


def _reply(site: str, content: RecordDict | NoAnswer) -> WitnessReply | None:
    """Return a member's answer; None if it was lost or could not be given, which costs only a cosignature."""
    if isinstance(content, NoAnswer):
        return None
    try:
        return unpack(content, WitnessReply)
    except ProtocolError:
        with suppress(ProtocolError):
            if unpack(content, Failure).code == LedgerError.code:
                raise LedgerError(_forked(site)) from None
        return None


def _forked(site: str) -> str:
    return (
        f"{site} keeps a checkpoint that this ledger does not grow from: an older copy was brought back, "
        "or another history was shown; restore the latest ledger"
    )
