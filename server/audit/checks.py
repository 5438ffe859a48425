"""The checks of an audit that read files: ledger copies, report, data set, checkpoint.

Every function returns one finding and raises nothing foreseen: what cannot be read is a finding too.
"""

import json
import re
from collections.abc import Callable, Sequence
from html import unescape
from pathlib import Path

from safetensors import SafetensorError, safe_open

from server.dataset.files.claims import privacy_claims
from server.dataset.files.seal import SUMS, seal_faults, sealed_by
from server.dataset.viewer import VIEWER
from server.ledger.export import CHECKPOINT, LINES, jsonl, read_checkpoint
from server.report.build import build_report, report_bytes
from server.report.claims import SecondOpinions
from server.report.page import render_page
from server.report.pdf import PDF, layout_id, render_pdf
from server.report.registry import registry_yaml
from server.report.seal import SIGNATURE, report_signer
from shared.canonical import Json, canonical, digest, digest_arrays
from shared.errors import UsageError, WillisError
from shared.ledger.events import Federation, Reserve, Run, Settle
from shared.ledger.finding import Finding
from shared.ledger.log import Head, SignedEvent, bound, parse
from shared.ledger.view import RunView, first_release, head_of, lines_of, view

# An ε and the figure that follows in the same breath, in whatever words; past "∞" or "δ" it is another's figure.
_EPSILON = re.compile(r"(?:[εϵ]|epsilon|\beps\b)[^\n\d;|δ∞]{0,20}?(\d[\d.]*)", re.IGNORECASE)
_SCRIPT = re.compile("<script.*?</script>", re.DOTALL)
_CLAIMING = (
    "README.md",
    "croissant.json",
    "zenodo.json",
    VIEWER,
)  # files of a data set that people read claims in
_WRONG_FORM = (ValueError, LookupError, TypeError, AttributeError, RecursionError)  # what JSON by others leads to
_UNREADABLE = (WillisError, SafetensorError, OSError, *_WRONG_FORM)


def guarded(check: str, question: Callable[[], Finding]) -> Finding:
    """Return the answer to `question`; what could not be read failed."""
    try:
        return question()
    except _UNREADABLE as err:
        return Finding(check, False, " ".join(str(err).split())[:300] or type(err).__name__)


def check_site(site: Path, events: Sequence[SignedEvent]) -> Finding:
    """Check that what a hospital's own ledger says of the runs in this one is what this one says it said."""
    check = f"the ledger says of {site.name} what its own ledger says"

    def compare() -> Finding:
        path = site / ".willis" / "ledger.jsonl"
        own = parse(path.read_bytes().splitlines(), str(path))
        runs = {s.event.run for s in events if isinstance(s.event, Run)}
        here = [signed for signed in events if bound(signed.event) == site.name]
        problems = [
            f"{s.event.type} of {s.event.run[:12]} is missing here"
            for s in own
            if isinstance(s.event, Reserve | Settle) and s.event.run in runs and s not in here
        ]
        foreign = [s for s in here if s not in own]
        problems += [f"{s.event.type} is unknown to {site.name}" for s in foreign]
        return Finding.of(check, problems, f"{len(here)} entries")

    return guarded(check, compare)


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
            first = events[0].event
            key = first.public_key if isinstance(first, Federation) else None
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


def check_seal(dataset: Path, key: str) -> Finding:
    """Check every file of the data set against SHA256SUMS, and the signature on it."""
    check = "the data set is complete, unchanged and signed"

    def compare() -> Finding:
        faults = seal_faults(dataset)
        if sealed_by(dataset) != key:
            faults.append("SHA256SUMS is not signed by the coordinator")
        listed = len((dataset / SUMS).read_text().splitlines())
        return Finding.of(check, faults, f"{listed} files")

    return guarded(check, compare)


def check_release(dataset: Path, events: Sequence[SignedEvent], run: str, key: str) -> Finding:
    """Check that the data set is one the ledger released, and that it claims what the ledger says."""
    check = "the data set is the one released, and claims what the ledger says"

    def compare() -> Finding:
        seen = view(events, run)
        known = list(events[: first_release(seen, len(events))])
        lines = lines_of(known)
        problems = []
        manifest = digest((dataset / SUMS).read_bytes())
        cases = next((r.cases for r in seen.releases if r.manifest == manifest), None)
        if cases is None:
            problems.append("the ledger has no release of this data set")
        then = read_checkpoint(dataset / CHECKPOINT)
        if then.head != head_of(lines) or not then.is_by(key):
            problems.append("its checkpoint is not of the ledger as it was before the release")
        if (dataset / LINES).read_bytes() != jsonl(lines):
            problems.append("ledger.jsonl is not the beginning of this ledger")
        problems += claim_problems(dataset, view(known, run), then.head)
        return Finding.of(check, problems, f"release of {cases} cases")

    return guarded(check, compare)


def claim_problems(dataset: Path, seen: RunView, head: Head) -> list[str]:
    """Return what a data set claims of privacy that the log with that head does not say of its run.

    Raises:
        OSError, ValueError, AttributeError: a file cannot be read.
    """
    right = privacy_claims(seen, head)
    problems = []
    if _loaded(dataset / "dataset_description.json").get("DifferentialPrivacy") != right:
        problems.append("dataset_description.json claims another privacy than the ledger gives")
    follows = _figures(canonical(right).decode())
    for name in _CLAIMING:
        if strange := sorted(_named(dataset / name) - follows):
            problems.append(f"{name} names an ε that does not follow from the ledger: {', '.join(strange)}")
    return problems


def check_checkpoint(run_dir: Path, events: Sequence[SignedEvent], run: str) -> Finding:
    """Check that the newest checkpoint holds the model the last round's entry names."""
    check, rounds = "the checkpoint is the model of the last round", view(events, run).rounds
    files = sorted((run_dir / "checkpoints").glob("round-*.safetensors"))
    if not files or not rounds:
        return Finding(check, None, "there is no checkpoint in this copy, or no round yet")

    def compare() -> Finding:
        with safe_open(files[-1], framework="numpy") as file:
            number = (file.metadata() or {}).get("round")
            model = digest_arrays({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        last = rounds[-1]
        problems = [f"it is of round {number}, the ledger's last is {last.round}"] * (number != str(last.round))
        problems += [f"{files[-1].name}: the weights are not those in the ledger"] * (model != last.model)
        return Finding.of(check, problems, f"round {last.round}, model {model[:12]}")

    return guarded(check, compare)


def _named(path: Path) -> set[str]:
    """Return every ε that a file names, of a page outside scripts; of before a kind of file was written, none."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return _figures(unescape(_SCRIPT.sub("", text)) if path.name == VIEWER else text)


def _figures(text: str) -> set[str]:
    return {figure.rstrip(".") for figure in _EPSILON.findall(text)}


def _loaded(path: Path) -> dict[str, Json]:
    value: dict[str, Json] = json.loads(path.read_bytes())
    return value


def _without_second(value: Json) -> Json:
    """Return `value` with every figure of the second accountants set to null, beside each PLD figure."""
    if isinstance(value, dict):
        alone = "pld" in value
        return {k: None if alone and k != "pld" else _without_second(item) for k, item in value.items()}
    return [_without_second(item) for item in value] if isinstance(value, list) else value
