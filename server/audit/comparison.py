"""What differs between two budget reports, and which of them gives a site's patients the stronger guarantee.

Pure: two checked reports in, one JSON object out. Guarantees are compared only where δ, unit and neighbouring
relation agree; then the smaller ε is the stronger one, whichever accountants bound them. What is equal as it is
printed, to two decimals, counts as the same: plans are fitted to a budget, and further digits say how closely.
"""

from collections.abc import Callable, Sequence
from typing import Any

from server.audit.sources import Lineage, Relation
from shared.canonical import canonical

FORMAT = "willis-comparison/1"
NAMES = ("A", "B")

Report = dict[str, Any]
Pair = list[Any]  # of the first report and of the second; None where it has no such thing

_FACTS: dict[str, Callable[[Report], str]] = {
    "run": lambda r: str(r["run"]["id"]),
    "recipe": lambda r: f"{r['run']['recipe']}, {r['run']['variant']}, {r['run']['preset']}",
    "settings": lambda r: str(r["run"]["settings"]),
    "state": lambda r: str(r["status"]["name"]),
    "rounds": lambda r: f"{r['run']['rounds_done']} of {r['run']['rounds_planned']}",
    "noise": lambda r: str(r["run"]["noise_in_words"]),
    "code": lambda r: str(r["run"]["code"]),
    "model": lambda r: str(r["run"]["model"] or "none"),
    "may be published": lambda r: "yes" if r["publishable"] else "no",
    "coordinator": lambda r: str(r["federation"]["public_key"]),
    "δ": lambda r: f"{r['federation']['delta']:g}",
    "overlap": lambda r: f"a patient at no more than {r['federation']['overlap']} of the sites",
    "ledger": lambda r: f"{r['ledger']['size']} entries, root {r['ledger']['root']}",
}


def compare_reports(first: Report, second: Report, ledgers: Lineage) -> dict[str, Any]:
    """Return what differs; its `same` says whether nothing does.

    `sites` holds every site of either report with its figures in both and a verdict; all else only what differs.
    """
    pair = (first, second)
    known = ledgers.relation in (Relation.SAME, Relation.UNKNOWN)
    return {
        "format": FORMAT,
        "runs": [r["run"]["id"] for r in pair],
        "same": canonical(first) == canonical(second) and known,
        "ledgers": {"relation": ledgers.relation.value, "common": ledgers.common},
        "facts": {name: both for name, both in _facts(first, second).items() if both[0] != both[1]},
        "joint": _joint(first, second),
        "sites": [_site(site, first, second) for site in _sites(first, second)],
        "releases": _only(pair, "releases"),
        "incidents": _only(pair, "incidents"),
        "warnings": _only(pair, "warnings"),
    }


def _facts(first: Report, second: Report) -> dict[str, list[Any]]:
    return {name: [fact(first), fact(second)] for name, fact in _FACTS.items()}


def _sites(first: Report, second: Report) -> list[str]:
    """Return the sites of either report, in the order of the reports."""
    return list(dict.fromkeys(row["site"] for r in (first, second) for row in r["participation"]))


def _only(pair: Sequence[Report], what: str) -> list[Any]:
    """Return what of a list is only in the first report, and only in the second."""
    (mine, other) = (r[what] for r in pair)
    return [[x for x in mine if x not in other], [x for x in other if x not in mine]]


def _joint(first: Report, second: Report) -> dict[str, Any]:
    """Return the guarantee to a patient at as many of the sites as each federation declares."""
    claims = [_declared(r) for r in (first, second)]
    sites = [r["federation"]["overlap"] for r in (first, second)]
    if None not in claims and sites[0] != sites[1]:
        words = f"cannot be compared: a patient at {sites[0]} of the sites in A, at {sites[1]} in B"
        return {"sites": sites, "guaranteed": claims, "stronger": None, "words": words}
    seeded = [r["run"]["is_simulation"] for r in (first, second)]
    return {"sites": sites, "guaranteed": claims, **_verdict(claims, seeded)}


def _declared(r: Report) -> dict[str, Any] | None:
    """Return what a patient at as many sites as declared is guaranteed; None where nobody set budget aside."""
    overlap, levels = r["federation"]["overlap"], r["federation"]["levels"]
    return next((level["guaranteed"]["cost"] for level in levels if level["sites"] == overlap), None)


def _site(site: str, first: Report, second: Report) -> dict[str, Any]:
    both = [_figures(site, r) for r in (first, second)]
    figures: dict[str, Pair] = {name: [one.get(name) for one in both] for name in {**both[0], **both[1]}}
    runs = [one.get("runs", []) for one in both]
    return {
        "site": site,
        **figures,
        "runs_only": [[run for run in runs[n] if run not in runs[1 - n]] for n in (0, 1)],
        **_verdict(figures.get("guaranteed", [None, None]), [one.get("seeded", False) for one in both]),
    }


def _figures(site: str, r: Report) -> dict[str, Any]:
    """Return what a report says of a site: of its cohort always, of its budget where it set some aside."""
    row = next((row for row in r["participation"] if row["site"] == site), None)
    group = next((group for group in r["groups"] if site in group["sites"]), None)
    figures: dict[str, Any] = {}
    if row is not None:
        figures |= {"patients": row["patients"], "cohort": row["cohort"]}
    if group is not None:
        figures |= {
            "guaranteed": group["guaranteed"]["cost"],
            "condition": group["guaranteed"]["condition"],
            "if_planned": group["if_planned"]["cost"]["pld"],
            "cap": group["cap"],
            "seeded": group["noise_source"] == "seeded",
            "status": group["status"],
            "runs": [row["run"] for row in group["composition"]],
        }
    return figures


def _verdict(claims: Pair, seeded: list[bool]) -> dict[str, Any]:
    """Return {stronger: "A", "B" or None, words}: which of two guarantees binds more, or why neither does."""
    stronger, words = _stronger(claims, seeded)
    return {"stronger": stronger, "words": words}


def _stronger(claims: Pair, seeded: list[bool]) -> tuple[str | None, str]:
    absent = [name for name, claim in zip(NAMES, claims, strict=True) if claim is None]
    if absent:
        return None, f"cannot be compared: nothing was set aside in {' nor in '.join(absent)}"
    if apart := [what for what in ("δ", "unit", "relation") if _of(claims[0], what) != _of(claims[1], what)]:
        named = "; ".join(f"{what} {_of(claims[0], what)} and {_of(claims[1], what)}" for what in apart)
        return None, f"cannot be compared: they differ in what an ε means ({named})"
    holds = [claim["epsilon"] is not None and not seed for claim, seed in zip(claims, seeded, strict=True)]
    if not any(holds):
        why = "the noise of both came from seeds" if all(seeded) else "neither has a finite ε with real noise"
        return None, f"neither guarantees a patient anything: {why}"
    if not all(holds):
        return _alone(holds.index(True), claims, seeded)
    if _printed(claims[0]) == _printed(claims[1]):
        return None, f"the same guarantee in both: {claims[0]['text']}"
    best = 0 if claims[0]["epsilon"] < claims[1]["epsilon"] else 1
    words = f"{NAMES[best]} guarantees a patient more: {claims[best]['text']}, not {claims[1 - best]['text']}"
    return NAMES[best], words


def _alone(best: int, claims: Pair, seeded: list[bool]) -> tuple[str, str]:
    why = "the other's noise came from a seed" if seeded[1 - best] else "the other guarantees nothing"
    return NAMES[best], f"{NAMES[best]} alone guarantees a patient anything: {claims[best]['text']}; {why}"


def _printed(claim: dict[str, Any]) -> str:
    return str(claim["text"]).partition(" (")[0]


def _of(claim: dict[str, Any], what: str) -> str:
    return f"{claim['delta']:g}" if what == "δ" else str(claim[what])
