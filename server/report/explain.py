"""What a run's ε means, in words for a person who has never met one. Pure text from the report."""

import json
import textwrap
from pathlib import Path
from typing import Any

from server.ledger.export import read_lines
from server.report.accounts import UNBOUNDED
from server.report.build import Report, build_report
from server.report.registry import declared_level
from server.run.folder import RunFolder
from shared.canonical import canonical
from shared.ledger.log import parse

_WIDTH = 88


def explain_run(run_dir: Path) -> str:
    """Return the explanation of the run in a folder, from its ledger.

    Raises:
        LedgerError: the ledger is missing, damaged, or does not hold the run.
        UsageError: no plan was agreed.
    """
    folder = RunFolder(run_dir)
    events = parse(read_lines(folder.ledger), str(folder.ledger))
    return explain(build_report(events, folder.plan().run))


def explain(report: Report) -> str:
    """Return the explanation: what is protected, how far, against whom, and what is not."""
    r: dict[str, Any] = json.loads(canonical(report))
    parts = [
        _simulation(r),
        _title(r),
        *(_figures(r) if r["groups"] else ["No site took part: nothing was spent."]),
    ]
    parts += [_against(r), _left_out(r)]
    return "\n\n".join(part for part in parts if part)


def _simulation(r: dict[str, Any]) -> str:
    if not r["run"]["is_simulation"]:
        return ""
    return _wrap(
        "SIMULATION. Nothing real is protected: the noise came from a seed, and whoever knows the seed can "
        "take it "
        "away again. The figures below say what the same run would cost with real noise."
    )


def _title(r: dict[str, Any]) -> str:
    run = r["run"]
    done = f"{run['rounds_done']} rounds; {r['status']['name']}"
    return f"Run {run['id'][:12]}: {run['recipe']}, {run['variant']}; {done}"


def _figures(r: dict[str, Any]) -> list[str]:
    level = declared_level(r)
    sure, planned, odds = level["guaranteed"], level["if_planned"], level["membership"]
    if sure["cost"]["accountant"] == UNBOUNDED:
        return [_wrap(f"Nothing guaranteed limits what may be learnt about a patient: {sure['condition']}.")]
    return [
        _unit(sure["cost"]),
        _wrap(f"Guaranteed: {sure['cost']['text']}, for {level['meaning']}. It holds {sure['condition']}."),
        _wrap(_odds(odds["guaranteed"], sure["cost"])),
        _wrap(f"If planned: {planned['cost']['pld']['text']}. It holds {planned['condition']}."),
        _wrap(_odds(odds["if_planned"], planned["cost"]["pld"])),
    ]


def _unit(claim: dict[str, Any]) -> str:
    who = {
        "patient": "The unit is the patient. Compared are two worlds: in one, all records of one person are "
        "in their "
        "hospital's cohort; in the other, none is. Everything that left the hospital looks almost the same "
        "in both, "
        "and ε and δ say how nearly.",
    }
    other = f"The unit is the {claim['unit']}, not the patient. No person is protected by these figures."
    return _wrap(who.get(claim["unit"], other))


def _odds(odds: dict[str, Any], claim: dict[str, Any]) -> str:
    accuracy = odds["accuracy"]
    percent = odds["text"].rsplit("at most ", 1)[-1]
    verdict = " Such a bound says little by itself." if accuracy > 0.95 else ""
    return (
        "Somebody who knows everything except whether one person took part, and guesses, is right at most "
        f"{percent} of the time instead of 50 %: that is what {claim['text']} means.{verdict}"
    )


def _against(r: dict[str, Any]) -> str:
    if not r["conditions"]:
        return _wrap("Nobody is protected from anybody by this run.")
    return _wrap(
        "Protected is each patient of a site from the coordinator, from all other sites, and from everyone "
        "who sees "
        "the model or the synthetic images, even if all of them work together. Not from their own hospital."
    )


def _left_out(r: dict[str, Any]) -> str:
    lines = [line for layer in r["layers"] for line in layer["not_covered"]]
    return "Not covered:\n" + "\n".join(
        textwrap.fill(line, _WIDTH, initial_indent="  - ", subsequent_indent="    ") for line in lines
    )


def _wrap(text: str) -> str:
    return textwrap.fill(text, _WIDTH)
