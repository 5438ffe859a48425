"""Whatever an audit may find wrong, a data steward is told what it means."""

import shutil
from pathlib import Path

import pytest

from server.audit.checks import check_site
from server.audit.steps import Evidence, examine
from server.audit.words import meaning, verdict
from shared.ledger.finding import Finding
from shared.ledger.view import lines_of
from tests.server.ledgers import Story, signed_all, store_at
from tests.server.test_audit import run_dir, untouched  # noqa: F401  # fixtures

GOOD, BAD = Finding("other accountants agree", True, ""), Finding("no site's cap is crossed", False, "north")


def test_every_check_of_an_audit_has_its_sentence(run_dir: Path, tmp_path: Path) -> None:  # noqa: F811
    site = tmp_path / "north"
    kept = run_dir / "ledger" / "checkpoint"
    asked = Evidence(run_dir, None, [kept], site, run_dir / "dataset", network=tmp_path / "maps.safetensors")
    checks = {finding.check for finding in examine(asked)}
    (run_dir / "plan.json").unlink()
    shutil.rmtree(run_dir / "dataset")
    checks |= {finding.check for finding in examine(asked)}
    assert len(checks) >= 16
    assert all(meaning(check).endswith(".") for check in checks)


def test_a_check_without_a_sentence_is_noticed() -> None:
    with pytest.raises(LookupError, match="the moon is full"):
        meaning("the moon is full")


def test_the_first_failure_is_the_one_explained() -> None:
    assert verdict([GOOD]) == "Nothing failed."
    said = verdict([GOOD, BAD, Finding("the data set is complete, unchanged and signed", False, "")])
    assert said.startswith("2 of 3 checks failed. First: no site's cap is crossed.\nMore was spent")


def test_a_hospital_that_signed_something_else_is_named(tmp_path: Path) -> None:
    """Its own ledger is the ledger of another story: nothing that the federation says it signed is in there."""
    store = store_at(tmp_path, Story().events())
    store.close()
    site = tmp_path / "north"
    (site / ".willis").mkdir(parents=True)
    other = [
        e for e in Story(cap=Story().cap.model_copy(update={"epsilon": 9.0})).events() if e.type != "federation"
    ]
    own = [e for e in signed_all(other) if e.signer == "north"]

    (site / ".willis" / "ledger.jsonl").write_bytes(b"".join(raw + b"\n" for raw in lines_of(own)))
    found = check_site(site, store.events)
    assert found.passed is False
    assert "reserve of" in found.detail
