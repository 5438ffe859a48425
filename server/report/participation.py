"""Who took part in which round, whose updates were refused, and what went wrong: as the ledger has it."""

from collections.abc import Sequence

from shared.canonical import Json
from shared.ledger.view import RunView


def participation(view: RunView) -> list[Json]:
    """Return a row for every site that reserved: rounds averaged, refused and absent, the missed ones as ranges.

    A range is [first round, last round, "refused" or "absent"].
    """
    averaged: dict[str, set[int]] = {site: set() for site in view.reserves}
    for event in view.rounds:
        for site in event.sites:
            averaged.setdefault(site, set()).add(event.round)
    refused: dict[str, set[int]] = {site: set() for site in averaged}
    for refusal in view.refusals:
        if refusal.round:
            refused.setdefault(refusal.site, set()).add(refusal.round)
    rounds = sorted({event.round for event in view.rounds})
    return [_row(view, site, rounds, averaged[site], refused[site]) for site in averaged]


def _row(view: RunView, site: str, rounds: Sequence[int], averaged: set[int], refused: set[int]) -> Json:
    missed = [(n, "refused" if n in refused else "absent") for n in rounds if n not in averaged]
    enrolled = view.enrolled.get(site)
    return {
        "site": site,
        "patients": enrolled.patients if enrolled else None,
        "cohort": enrolled.cohort if enrolled else None,
        "averaged": len(averaged),
        "refused": sum(why == "refused" for _, why in missed),
        "absent": sum(why == "absent" for _, why in missed),
        "missed": _ranges(missed),
    }


def _ranges(missed: Sequence[tuple[int, str]]) -> list[Json]:
    """Return [first, last, why] of consecutive rounds missed for one reason."""
    found: list[tuple[int, int, str]] = []
    for number, why in missed:
        if found and found[-1][1:] == (number - 1, why):
            found[-1] = (found[-1][0], number, why)
        else:
            found.append((number, number, why))
    return [list(one) for one in found]


def incidents(view: RunView) -> list[Json]:
    """Return incidents and refusals in order of the ledger; refusals of one site for one reason share a row."""
    rows: list[dict[str, Json]] = []
    known: dict[tuple[str, str, str, str], dict[str, Json]] = {}
    for index, event in view.entries:
        if event.type == "incident":
            rows.append({"entry": index, "kind": "incident", "what": event.text, "rounds": []})
        elif event.type == "refuse":
            key = (event.site, event.by, event.code, event.reason)
            if key not in known:
                what = f"{event.site}, refused by the {event.by} ({event.code}): {event.reason}"
                known[key] = {"entry": index, "kind": "refusal", "what": what, "rounds": []}
                rows.append(known[key])
            at = known[key]["rounds"]
            assert isinstance(at, list)
            at.append(event.round)
    return list(rows)
