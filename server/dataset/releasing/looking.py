"""What a steward is shown before deciding: everything follows from the candidate itself, checked again here.

The gate's checks are made anew from the files, and the claim from the ledger in the folder, so that a steward
needs to trust the coordinator only for what no candidate shows: an answer to the distance query.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from server.dataset.files.claims import privacy_claims
from server.dataset.gate.reading import check_files, rows
from server.dataset.gate.rules import check_run
from server.dataset.releasing.candidate import Candidate
from server.ledger.export import CHECKPOINT, read_checkpoint, read_lines
from shared.canonical import Json
from shared.errors import PublicationRefused
from shared.ledger.events import Check
from shared.ledger.log import parse
from shared.ledger.release_rules import kind_of
from shared.ledger.verify import check_checkpoint
from shared.ledger.view import RunView, founding, stewards_in_office, view, views
from shared.recipes.network_file import about_of

CLAIM = "the claim follows from the ledger"


@dataclass(frozen=True)
class Looked:
    """What was found in a candidate."""

    candidate: Candidate
    what: str  # in words
    key: str  # of the coordinator that sealed it, hexadecimal; "": nobody, it is a network
    claim: str
    checks: tuple[Check, ...]
    stewards: dict[str, str]  # name -> public key, in the candidate's ledger


def look(path: Path) -> Looked:
    """Return what is found in the candidate at `path`.

    Raises:
        PublicationRefused: it is no whole candidate, or its seal does not hold.
        LedgerError: the ledger in it is damaged.
    """
    candidate = Candidate.at(path)
    if not candidate.cases:
        about = about_of(path)
        return Looked(candidate, f"a trained network of {about.recipe}", "", about.claim, (), {})
    lines = read_lines(path)
    events = parse(lines, str(path))
    key = founding(events, f"{path}: its ledger").public_key
    candidate.check_seal(key)
    runs, seen = views(events), view(events, candidate.run)
    signed = check_checkpoint(lines, read_checkpoint(path / CHECKPOINT), key)
    said = json.loads((path / "dataset_description.json").read_bytes()).get("DifferentialPrivacy")
    claims = privacy_claims(seen, read_checkpoint(path / CHECKPOINT).head)
    checks = (
        Check(name=signed.check, passed=signed.passed is True, words=signed.detail),
        Check(name=CLAIM, passed=said == claims, words="compared with dataset_description.json"),
        *check_run(seen, runs, candidate.earlier),
        *check_files(path, rows(path)),
    )
    stewards = stewards_in_office(entry.event for entry in events)
    return Looked(candidate, _words(candidate, seen), key, _claim(claims), checks, stewards)


def _words(candidate: Candidate, seen: RunView) -> str:
    return f"{candidate.cases} synthetic cases, a {kind_of(seen)} of run {seen.run.run[:12]}: {seen.run.system}"


def _claim(claims: dict[str, Json]) -> str:
    maximum = claims["maximum"]
    if not isinstance(maximum, dict):
        raise PublicationRefused("the run claims nothing; publish another")
    return f"{maximum['text']}, {claims['condition']}"
