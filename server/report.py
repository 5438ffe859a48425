"""The budget report: one ledger, told as figures. Derived from the ledger alone; nothing is typed by hand.

`build_report` is pure: the same entries give the same bytes, so an auditor can make the report again and
compare. No ε stands in it without its δ, unit, relation and accountant (`server.claims`).
"""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from server import report_words as words
from server.claims import claim, membership
from server.ledger_export import read_lines
from server.report_page import render_page
from server.report_sites import composition_rows, site_figures, split_past
from server.report_summary import costliest, summary, total
from server.run_folder import RunFolder
from shared.canonical import Json, canonical
from shared.files import write_durably
from shared.ledger.events import Past
from shared.ledger.log import SignedEvent, parse
from shared.ledger.release_rules import objections
from shared.ledger.verify_spending import Disagreements, Pricer
from shared.ledger.view import RunView, head_of, lines_of, view
from shared.privacy.accounting import PrivacyCost, cost

Report = dict[str, Json]

FORMAT = "willis-report/1"


def build_report(events: Sequence[SignedEvent], run: str, second: Pricer | None = None) -> Report:
    """Return the report of `run`, ready for `canonical`.

    `second` is the accountant that checks PLD (`second_opinion`); without it the `rdp` figures are null.

    Raises:
        LedgerError: the ledger has no such run.
    """
    seen = view(events, run)
    head = head_of(lines_of(events))
    holds = seen.is_private and seen.is_patient_level
    sites = [site_figures(seen, site, second) for site in seen.reserves]
    rows = [row for site in seen.reserves for row in composition_rows(seen, site, second)]
    apart = _apart(seen)
    return {
        "format": FORMAT,
        "ledger": {"size": head.size, "root": head.root},
        "run": _run(seen),
        "status": {"name": seen.status.value, "text": words.STATUS[seen.status]},
        "warnings": words.warnings(seen, _crossed(seen)),
        "summary": summary(seen, _odds(seen)),
        "publishable": not objections(seen),
        "sites": list(sites),
        "refusals": [r.model_dump(mode="json", exclude={"type", "run"}) for r in seen.refusals],
        "composition": rows,
        "federation": _federation(seen),
        "statement": words.STATEMENT if holds else words.NO_STATEMENT,
        "conditions": list(words.CONDITIONS) if holds else [],
        "not_covered": words.not_covered(seen, [(site, past.run) for site, past in apart]),
        "earlier_non_private": [
            {"site": site, "run": past.run, "recipe": past.recipe, "variant": past.variant}
            for site, past in apart
            if not past.spending.is_private
        ],
        "releases": [{"cases": r.cases, "manifest": r.manifest} for r in seen.releases],
    }


def write_report(run_dir: Path) -> Path:
    """Make RUN/report/report.json and index.html from RUN/ledger; return the page.

    Raises:
        LedgerError: the ledger is missing, damaged, or does not hold the run.
    """
    folder = RunFolder(run_dir)
    events = parse(read_lines(folder.ledger), str(folder.ledger))
    report = build_report(events, folder.plan().run, second_opinion())
    write_durably(run_dir / "report" / "report.json", report_bytes(report))
    page = run_dir / "report" / "index.html"
    write_durably(page, render_page(report).encode())
    return page


def report_bytes(report: Report) -> bytes:
    """Return the bytes of report.json."""
    return canonical(report) + b"\n"


def disagreements_or_none() -> Disagreements | None:
    """Return the rule by which accountants must agree, or None where Opacus is not installed."""
    from shared.privacy.agreement import disagreements

    return disagreements if find_spec("opacus") else None


def second_opinion() -> Pricer | None:
    """Return Opacus' accountant, or None where Opacus (and torch) are not installed."""
    try:
        from shared.privacy.crosscheck import rdp_cost
    except ImportError:
        return None
    return rdp_cost


def _run(seen: RunView) -> dict[str, Json]:
    run = seen.run
    return {
        "id": run.run,
        "recipe": run.recipe,
        "variant": run.variant,
        "preset": run.preset,
        "rounds_planned": run.rounds,
        "rounds_done": len(seen.rounds),
        "steps_per_round": run.steps_per_round,
        "sampling_rate": run.sampling_rate,
        "clip_norm": run.clip_norm,
        "records_per_patient": run.records_per_patient,
        "noise_source": run.noise_source.value,
        "noise_in_words": words.noise(seen),
        "pretrained_on": words.pretraining(seen),
        "public_seed": run.public_seed,
        "model": seen.rounds[-1].model if seen.rounds else None,
    }


def _federation(seen: RunView) -> dict[str, Json] | None:
    """Return the largest site's cost, alone and with the past, for patients at one site and at two."""
    if not seen.reserves:
        return None
    result: dict[str, Json] = {"condition": words.DISJOINT}
    for name, with_past in (("alone", False), ("composed", True)):
        costs = {site: _cost_at(seen, site, with_past, times=1) for site in seen.reserves}
        worst = max(costs, key=lambda site: costs[site].epsilon)
        result[name] = {
            "sites": {site: claim(spent) for site, spent in costs.items()},
            "worst_site": worst,
            "maximum": claim(costs[worst]),
            "patient_at_two_sites": claim(_cost_at(seen, worst, with_past, times=2)),
        }
    return result


def _cost_at(seen: RunView, site: str, with_past: bool, times: int) -> PrivacyCost:
    reserve, spent = seen.reserves[site], seen.spent(site)
    before = [p.spending for p in split_past(reserve, spent)[0]] if with_past else []
    return cost([*before, spent] * times, reserve.delta)


def _odds(seen: RunView) -> dict[str, Json]:
    """Return the bound on membership inference at the costliest site."""
    if not seen.reserves:
        return {}
    site = costliest(seen)
    return membership(total(seen, site, seen.reserves[site].delta))


def _apart(seen: RunView) -> list[tuple[str, Past]]:
    """Return (site, earlier run) for every earlier run that could not be composed."""
    return [
        (site, past)
        for site, reserve in seen.reserves.items()
        for past in split_past(reserve, seen.spent(site))[1]
    ]


def _crossed(seen: RunView) -> list[str]:
    """Return the sites whose patients have spent a finite ε above the cap."""
    spent = {site: total(seen, site, r.cap.delta).epsilon for site, r in seen.reserves.items()}
    return [s for s, r in seen.reserves.items() if r.cap.epsilon < spent[s] < math.inf]
