"""The steps of an audit, in order: the log, its witnesses, its runs, then one run's report and data set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.audit.checks import check_model, check_site, guarded
from server.audit.dataset_checks import check_release, check_seal
from server.audit.network_check import check_network
from server.audit.report_checks import check_page, check_pdf, check_report
from server.ledger.export import CHECKPOINT, WITNESSED, read_checkpoint, read_lines
from server.report.build import disagreements_or_none, second_opinion
from server.report.pdf import PDF
from server.run.folder import RunFolder
from shared.errors import WillisError
from shared.ledger.finding import Finding
from shared.ledger.log import SignedEvent, parse
from shared.ledger.verify import check_checkpoint, check_grown, check_witnesses, verify_runs
from shared.ledger.verify_coverage import check_coverage
from shared.ledger.verify_spending import check_accountants
from shared.ledger.view import RunView, founding, views


@dataclass(frozen=True)
class Evidence:
    """What an audit is given."""

    run: Path
    key: str | None  # the coordinator's public key, as the auditor got it
    kept: Sequence[Path]  # checkpoints somebody kept
    site: Path | None  # a hospital's own folder
    dataset: Path
    network: Path | None = None  # a trained generator, as a hospital received it


def examine(given: Evidence) -> Iterator[Finding]:
    """Yield every finding about a run folder, the cheap ones first; stops where nothing more can be said."""
    check = "every entry is in its place and signed by the one it binds"
    try:
        folder = RunFolder(given.run)
        lines, checkpoint = read_lines(folder.ledger), read_checkpoint(folder.ledger / CHECKPOINT)
        events = parse(lines, "ledger.jsonl")
        runs = views(events)
        key = given.key or founding(events).public_key
    except WillisError as err:
        yield Finding(check, False, str(err))
        return
    yield Finding(check, True, f"{len(events)} entries")
    yield check_checkpoint(lines, checkpoint, key)
    yield from _seen_before(given, folder, lines, runs, key)
    if given.site is not None:
        yield check_site(given.site, events)
    yield from verify_runs(list(runs.values()))
    yield check_coverage(list(runs.values()))
    yield from _examine_run(given, folder, events, runs, key)


def _seen_before(
    given: Evidence, folder: RunFolder, lines: Sequence[bytes], runs: dict[str, RunView], key: str
) -> Iterator[Finding]:
    for path in given.kept:
        yield guarded(
            "the ledger grew out of what was seen before",
            lambda path=path: check_grown(lines, read_checkpoint(path), key, str(path)),  # type: ignore[misc]
        )

    def witnesses() -> Finding:
        path = folder.ledger / WITNESSED
        return check_witnesses(lines, read_checkpoint(path) if path.exists() else None, list(runs.values()), key)

    yield guarded("hospitals witnessed the ledger", witnesses)


def _examine_run(
    given: Evidence, folder: RunFolder, events: list[SignedEvent], runs: dict[str, RunView], key: str
) -> Iterator[Finding]:
    """Yield what concerns the run this folder is about."""
    try:
        name = folder.plan().run
        seen = runs[name]
    except (WillisError, KeyError):
        there = folder.plan_file.exists()
        why = "the ledger does not know the run of plan.json" if there else "plan.json is not in this copy"
        skipped = "accountants, report, model and data set were NOT checked"
        yield Finding("this folder's run is in the ledger", False if there else None, f"{why}; {skipped}")
        return
    yield check_accountants([seen], disagreements_or_none())
    yield check_report(given.run, events, name, second_opinion())
    yield check_page(given.run)
    if (given.run / "report" / PDF).exists():
        yield check_pdf(given.run)
    yield check_model(given.run, events, name)
    if given.network is not None:
        yield check_network(given.network, events, name)
    if given.dataset.exists():
        yield check_seal(given.dataset, key)
        yield check_release(given.dataset, events, name, key)
    else:
        count = len(seen.releases)
        yield Finding("the data set is the one released", None, f"not in this copy; {count} releases recorded")
