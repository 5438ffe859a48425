"""What left, as the report tells it: what the gate found of it, and who decided on it."""

from shared.canonical import Json
from shared.ledger.events import Release
from shared.ledger.release_rules import decisions_on
from shared.ledger.view import RunView


def released(release: Release, seen: RunView) -> dict[str, Json]:
    """Return a release with the gate's last word on it and every decision of a steward.

    What it is, is told only where it is no data set, as in reports of before there were others.
    """
    gates = [gate for gate in seen.gates if gate.manifest == release.manifest]
    told: dict[str, Json] = {
        "kind": release.kind,
        "cases": release.cases,
        "manifest": release.manifest,
        "gate": [check.model_dump() for check in gates[-1].checks] if gates else [],
        "decisions": [
            {"steward": decision.steward, "decision": decision.decision, "words": decision.words}
            for decision in decisions_on(seen, release.manifest)
        ],
    }
    return told if release.what == "data set" else told | {"what": release.what}
