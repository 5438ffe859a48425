"""The check of an audit that reads a trained network's file, as a hospital received it."""

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors import safe_open

from server.audit.checks import guarded
from server.dataset.files.claims import claim_in_words
from shared.canonical import digest
from shared.ledger.events import Run
from shared.ledger.finding import Finding
from shared.ledger.log import SignedEvent
from shared.ledger.view import first_release, head_of, lines_of, view


def check_network(file: Path, events: Sequence[SignedEvent], run: str) -> Finding:
    """Check that the file is a network the ledger released, and that it claims what the ledger says.

    The ledger names a network by the SHA-256 of its file, so that every changed byte is caught; what the file
    says of itself is compared as well, since a coordinator could have released a file that claims too much.
    """
    check = "the network is the one released, and claims what the ledger says"

    def compare() -> Finding:
        seen = view(events, run)
        content = file.read_bytes()
        if not any(r.what == "network" and r.manifest == digest(content) for r in seen.releases):
            return Finding(check, False, f"{file}: the ledger has no release of this file")
        with safe_open(file, framework="numpy") as opened:
            about = json.loads((opened.metadata() or {})["willis"])
        known = list(events[: first_release(seen, len(events))])
        head, then = head_of(lines_of(known)), view(known, run)
        problems = [f"it names another {name} than the run's" for name in _differing(about, seen.run)]
        if about["ledger"] != {"size": head.size, "root": head.root}:
            problems.append("it names another ledger than that before the release")
        if about["claim"] != claim_in_words(then, head) or about["private"] is not True:
            problems.append("it claims another privacy than the ledger gives")
        return Finding.of(check, problems, f"SHA-256 {digest(content)[:16]}…")

    return guarded(check, compare)


def _differing(about: dict[str, object], run: Run) -> list[str]:
    """Return which of the things a file says of its run are not so."""
    return [
        name for name in ("run", "recipe", "variant", "preset", "settings") if about[name] != getattr(run, name)
    ]
