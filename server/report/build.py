"""The budget report: one ledger, told as figures. Derived from the ledger alone; nothing is typed by hand.

`build_report` is pure: the same entries give the same bytes, so an auditor can make the report again and
compare. No ε stands in it without its δ, unit, relation and accountant (`server.report.claims`), and none that
composes several runs without the condition under which it holds (`server.report.accounts`).
"""

import math
from collections.abc import Sequence
from pathlib import Path

from server.ledger.export import read_lines
from server.report import words
from server.report.accounts import Account, grouped, if_planned
from server.report.claims import SecondOpinions
from server.report.federation import curve, federation_json, joint_guarantee
from server.report.layers import layers_json
from server.report.page import render_page
from server.report.participation import incidents, participation
from server.report.registry import registry_yaml
from server.report.releases import released
from server.report.seal import sign_report
from server.report.sites import ALL_POINTS, POINTS, group_figures, named
from server.report.summary import summary
from server.run.folder import RunFolder
from shared.canonical import Json, canonical
from shared.files import write_durably
from shared.ledger.budget import over_cap, patient_level
from shared.ledger.log import SignedEvent, parse
from shared.ledger.release_rules import objections
from shared.ledger.verify_spending import Disagreements
from shared.ledger.view import RunView, head_of, lines_of, view
from shared.privacy.agreement import disagreements, second_opinions
from shared.privacy.opacus_accountants import installed

Report = dict[str, Json]

FORMAT = "willis-report/3"


def build_report(events: Sequence[SignedEvent], run: str, second: SecondOpinions | None = None) -> Report:
    """Return the report of `run`, ready for `canonical`; its form is `server.report.schema`.

    `second` gives the prices that check PLD (`second_opinion`); without it their figures are null.

    Raises:
        LedgerError: the ledger has no such run.
    """
    seen = view(events, run)
    head = head_of(lines_of(events))
    groups = grouped(seen)
    sure = joint_guarantee(groups, seen.federation.overlap)[0].epsilon if groups else math.inf
    holds = seen.is_private and seen.is_patient_level and math.isfinite(sure)
    points = max(1, min(POINTS, ALL_POINTS // max(1, len(groups))))
    apart = [(site, past.run) for sites, mine in groups for site in sites for past in mine.apart]
    return {
        "format": FORMAT,
        "ledger": {"size": head.size, "root": head.root},
        "run": _run(seen),
        "status": {"name": seen.status.value, "text": words.STATUS[seen.status]},
        "warnings": words.warnings(seen, _crossed(groups)),
        "summary": summary(seen, groups),
        "publishable": not objections(seen),
        "federation": federation_json(seen, groups, second),
        "groups": [group_figures(seen, sites, mine, second, points) for sites, mine in groups],
        "curve": curve(groups),
        "participation": participation(seen),
        "incidents": incidents(seen),
        "statement": words.STATEMENT if holds else words.NO_STATEMENT,
        "conditions": list(words.CONDITIONS) if holds else [],
        "layers": layers_json(words.outside(seen, apart)),
        "earlier_non_private": _earlier_non_private(groups),
        "releases": [released(r, seen) for r in seen.releases],
    }


def write_report(run_dir: Path) -> Path:
    """Make RUN/report (report.json, signed where the key is; index.html; registry.yaml) from RUN/ledger.

    Return the page.

    Raises:
        LedgerError: the ledger is missing, damaged, or does not hold the run.
        UsageError: the federation's home is there without its key.
    """
    folder, out = RunFolder(run_dir), run_dir / "report"
    events = parse(read_lines(folder.ledger), str(folder.ledger))
    report = build_report(events, folder.plan().run, second_opinion())
    data = report_bytes(report)
    write_durably(out / "report.json", data)
    sign_report(folder, out, data)
    record = registry_yaml(report)
    if record is None:
        (out / "registry.yaml").unlink(missing_ok=True)
    else:
        write_durably(out / "registry.yaml", record)
    page = out / "index.html"
    write_durably(page, render_page(report).encode())
    return page


def report_bytes(report: Report) -> bytes:
    """Return the bytes of report.json."""
    return canonical(report) + b"\n"


def disagreements_or_none() -> Disagreements | None:
    """Return the rule by which accountants must agree, or None where Opacus is not installed."""
    return disagreements if installed() else None


def second_opinion() -> SecondOpinions | None:
    """Return Opacus' accountants, or None where Opacus is not installed."""
    return second_opinions if installed() else None


def _run(seen: RunView) -> dict[str, Json]:
    run = seen.run
    return {
        "id": run.run,
        "recipe": run.recipe,
        "variant": run.variant,
        "preset": run.preset,
        "settings": run.settings_in_words,
        "rounds_planned": run.rounds,
        "rounds_done": len(seen.rounds),
        "steps_per_round": run.steps_per_round,
        "sampling_rate": run.sampling_rate,
        "clip_norm": run.clip_norm,
        "records_per_patient": run.records_per_patient,
        "noise_source": seen.noise_source.value,
        "is_simulation": seen.is_seeded,
        "noise_in_words": words.noise(seen),
        "pretrained_on": words.pretraining(seen),
        "public_seed": run.public_seed,
        "code": run.code,
        "model": seen.rounds[-1].model if seen.rounds else None,
    }


def _earlier_non_private(groups: Sequence[tuple[list[str], Account]]) -> list[Json]:
    """Return the earlier runs whose ε is infinite, with the sites whose patients they used."""
    rows: list[Json] = []
    for sites, mine in groups:
        rows += [named(p) | {"sites": list(sites)} for p in mine.apart if not p.spending.is_private]
    return rows


def _crossed(groups: Sequence[tuple[list[str], Account]]) -> list[str]:
    """Return the sites whose cap this run crossed, by the rule that admits runs."""
    return [site for sites, mine in groups if _is_over(mine) for site in sites]


def _is_over(mine: Account) -> bool:
    reserve = mine.reserve
    if not reserve.spending.protects_patients:
        return reserve.cap.epsilon < if_planned(mine).epsilon < math.inf
    return bool(over_cap(reserve.cap, patient_level(reserve.past), reserve.spending))
