"""A steward's decision, as a file: signed where the steward is, taken into the ledger where the coordinator is.

The file is the ledger's entry itself, signed with the steward's own key, which never travels. It holds no secret.
"""

import json

from pydantic import ValidationError

from shared.canonical import canonical
from shared.errors import PublicationRefused, UsageError
from shared.identity import Identity
from shared.ledger.events import Approval
from shared.ledger.log import SignedEvent, steward_name
from shared.ledger.release_rules import by_gate, decisions_on
from shared.ledger.store import LedgerStore
from shared.ledger.view import RunView, views


def approval_bytes(steward: Identity, decision: Approval) -> bytes:
    """Return the file that holds a decision, signed; `steward` signs as `steward_name`."""
    return canonical(SignedEvent.by(steward, decision).model_dump(mode="json")) + b"\n"


def accept_approval(store: LedgerStore, data: bytes) -> Approval:
    """Append the decision in a file to the ledger, once however often it is given; return it.

    Raises:
        UsageError: `data` is no steward's decision.
        PublicationRefused: its steward, signature, run or data set is not what the ledger knows, or a refusal
            came before; nothing was written.
        LedgerError: the ledger cannot be written.
    """
    signed = _parsed(data)
    decision = signed.event
    assert isinstance(decision, Approval)  # as `_parsed` says
    if signed in store.events:
        return decision
    seen = views(store.events).get(decision.run)
    if seen is None:
        raise PublicationRefused(f"{decision.steward} decided on run {decision.run[:12]}, unknown to this ledger")
    _check_signer(signed, decision, seen)
    _check_decision(decision, seen)
    store.append_once(signed, lambda known: known == decision)
    return decision


def _parsed(data: bytes) -> SignedEvent:
    try:
        found = SignedEvent.model_validate(json.loads(data))
    except (ValueError, ValidationError, RecursionError) as err:
        raise UsageError("not a steward's decision; take the file that `willis dataset approve` wrote") from err
    if not isinstance(found.event, Approval):
        raise UsageError(
            f"a {found.event.type}, not a steward's decision; take what `willis dataset approve` wrote"
        )
    return found


def _check_signer(signed: SignedEvent, decision: Approval, seen: RunView) -> None:
    name = decision.steward
    key = seen.in_office().get(name)
    if key is None and any(event.name == name for _, event in seen.stewards):
        raise PublicationRefused(f"{name} was withdrawn and decides no more; ask a steward in office")
    if key is None:
        raise PublicationRefused(
            f"{name} is no steward of this federation; `willis dataset steward name` makes one"
        )
    if signed.signer != steward_name(name) or not signed.is_signed_by(key):
        raise PublicationRefused(
            f"not signed with the key that the ledger has for {name}: the file was changed, or is somebody else's"
        )


def _check_decision(decision: Approval, seen: RunView) -> None:
    manifest = decision.manifest
    if not any(gate.manifest == manifest for gate in seen.gates):
        raise PublicationRefused(
            f"{manifest[:12]}, decided on by {decision.steward}, is nothing that this run made"
        )
    if decision.decision == "refused":
        return
    if why := by_gate(seen, manifest):
        raise PublicationRefused(f"{manifest[:12]} cannot be approved: {why}")
    if refused := [d.steward for d in decisions_on(seen, manifest) if d.decision == "refused"]:
        raise PublicationRefused(
            f"{manifest[:12]} was refused by {refused[0]}, for good; draw others, which is free"
        )
