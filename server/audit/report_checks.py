"""The checks of an audit on a budget report: its figures, its page, its record, its print."""

import json
from collections.abc import Sequence
from pathlib import Path

from server.audit.checks import guarded
from server.report.build import build_report, report_bytes
from server.report.claims import SecondOpinions
from server.report.page import render_page
from server.report.pdf import PDF, layout_id, render_pdf
from server.report.registry import registry_yaml
from server.report.seal import SIGNATURE, report_signer
from shared.canonical import Json, canonical
from shared.errors import UsageError
from shared.ledger.finding import Finding
from shared.ledger.log import SignedEvent
from shared.ledger.view import founding


def check_report(run_dir: Path, events: Sequence[SignedEvent], run: str, second: SecondOpinions | None) -> Finding:
    """Make report.json again and compare bytes, and check who signed it.

    Without the second accountants, all but their figures is compared.
    """
    check, path = "report.json follows from the ledger", run_dir / "report" / "report.json"
    if not path.exists():
        return Finding(check, None, "there is no report in this copy")

    def compare() -> Finding:
        stored, fine = path.read_bytes(), "every byte"
        made = build_report(events, run, second)
        if second is None:
            stored = canonical(_without_second(json.loads(stored))) + b"\n"
            fine = "every figure but those of the second accountants, as Opacus is not installed"
        wrong = ["the report does not say what the ledger says; make it again"] * (stored != report_bytes(made))
        if (path.parent / SIGNATURE).exists():
            key = founding(events).public_key
            wrong += ["report.json is not signed by the coordinator"] * (report_signer(path.parent) != key)
            fine += ", signed by the coordinator"
        return Finding.of(check, wrong, fine)

    return guarded(check, compare)


def check_page(run_dir: Path) -> Finding:
    """Render report.json again and compare with index.html and registry.yaml."""
    check, folder = "the report's page follows from report.json", run_dir / "report"
    if not (folder / "index.html").exists():
        return Finding(check, None, "there is no page in this copy")

    def compare() -> Finding:
        report = json.loads((folder / "report.json").read_bytes())
        wrong = ["index.html shows something else"] * (
            render_page(report).encode() != (folder / "index.html").read_bytes()
        )
        record = folder / "registry.yaml"
        if record.exists() and record.read_bytes() != registry_yaml(report):
            wrong.append("registry.yaml says something else")
        return Finding.of(check, wrong, "every byte")

    return guarded(check, compare)


def check_pdf(run_dir: Path) -> Finding:
    """Print report.json again and compare with report.pdf, where the same versions print here."""
    check, folder = "report.pdf is printed from report.json", run_dir / "report"

    def compare() -> Finding:
        stored = (folder / PDF).read_bytes()
        try:
            here = layout_id().encode()
        except UsageError as err:
            return Finding(check, None, str(err))
        if here not in stored:
            return Finding(
                check, None, "other versions of WeasyPrint, Pango or matplotlib than those here made it"
            )
        wrong = ["it shows something else; make it again with `willis audit pdf`"] * (
            render_pdf((folder / "report.json").read_bytes()) != stored
        )
        return Finding.of(check, wrong, "every byte")

    return guarded(check, compare)


def _without_second(value: Json) -> Json:
    """Return `value` with every figure of the second accountants set to null, beside each PLD figure."""
    if isinstance(value, dict):
        alone = "pld" in value
        return {k: None if alone and k != "pld" else _without_second(item) for k, item in value.items()}
    return [_without_second(item) for item in value] if isinstance(value, list) else value
