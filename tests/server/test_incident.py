"""An incident is on record for good: in the ledger, in the report, under the coordinator's signature."""

from pathlib import Path

import pytest

from server.audit.steps import Evidence, examine
from server.ledger.incident import record_incident
from shared.errors import UsageError
from tests.server.ledgers import Story, store_at
from tests.server.test_audit import run_dir, untouched  # noqa: F401  # fixtures

TEXT = "Until version 2 the report understated the number of sites."


def test_an_incident_is_shown_and_the_audit_still_passes(run_dir: Path) -> None:  # noqa: F811
    (run_dir / "federation.json").write_text(f'{{"federation": "{run_dir / "home"}"}}')
    page = record_incident(run_dir, f"  {TEXT}\n")
    record_incident(run_dir, TEXT)
    assert page.read_text().count(TEXT) == 1
    findings = list(examine(Evidence(run_dir, None, [], None, run_dir / "dataset")))
    assert [f for f in findings if f.passed is False] == []


def test_an_incident_without_words_is_refused(tmp_path: Path) -> None:
    store_at(tmp_path, Story().events()).close()
    with pytest.raises(UsageError, match="say what happened"):
        record_incident(tmp_path, " ")
