"""Records for repositories: zenodo.json, and registry.yaml of the registry of differential-privacy deployments.

What no ledger knows (who the curators are, when the data set was published) says so, for a person to fill in.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from server.dataset.files.contents import FORBIDDEN, INTENDED, KEYWORDS, LICENCE, LIMITS, Contents
from server.dataset.files.text import write_json
from server.report.build import build_report
from server.report.registry import registry_yaml
from server.report.registry_words import FILL
from shared.canonical import Json
from shared.ledger.log import SignedEvent
from shared.ledger.release_rules import kind_of
from shared.ledger.view import view

ZENODO, REGISTRY = "zenodo.json", "registry.yaml"


def write_deposit(folder: Path, made: Contents) -> None:
    """Write the records; there is none for the registry where no finite ε is guaranteed."""
    write_json(folder / ZENODO, zenodo(made))
    record = registry(made.events, made.run, len(made.cases))
    if record is not None:
        (folder / REGISTRY).write_bytes(record)


def zenodo(made: Contents) -> dict[str, Json]:
    """Return the metadata of a deposit on Zenodo, as its upload interface takes it."""
    paragraphs = (
        f"{len(made.cases)} synthetic, labelled cases, drawn from a generator that {len(made.view.reserves)} "
        "hospitals trained together without their images leaving them. No image shows a person.",
        f"Privacy: {made.claim}.",
        f"{LIMITS} Meant for {INTENDED}. Not meant for {FORBIDDEN}.",
    )
    return {
        "metadata": {
            "upload_type": "dataset",
            "title": made.title,
            "creators": [{"name": FILL}],
            "description": "".join(f"<p>{escape(words)}</p>" for words in paragraphs),
            "access_right": "open",
            "license": LICENCE.lower(),
            "keywords": list(KEYWORDS),
            "version": "1.0.0",
            "notes": f"Willis run {made.run}; Merkle root of its ledger {made.checkpoint.head.root}",
        }
    }


def registry(events: Sequence[SignedEvent], run: str, cases: int) -> bytes | None:
    """Return registry.yaml of a data set of a run, from the log before its release, which it cannot hold."""
    report = build_report(events, run)
    release: dict[str, Json] = {"kind": kind_of(view(events, run)), "cases": cases}
    return registry_yaml(report | {"releases": [release]})
