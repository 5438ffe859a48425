"""A site's figures in the budget report: what the run cost its patients, alone and with all before."""

import math
from collections.abc import Sequence

from server.claims import Claim, cap_claim, claim, left_claim, membership
from shared.canonical import Json
from shared.ledger.events import Past, Reserve
from shared.ledger.verify_spending import Pricer
from shared.ledger.view import RunView
from shared.privacy.accounting import cost
from shared.privacy.events import NonPrivate, Spending

MAX_POINTS = 8  # of ε over rounds: each costs a fraction of a second of numerical composition


def site_figures(view: RunView, site: str, second: Pricer | None) -> dict[str, Json]:
    """Return the figures of one reserving `site`; `second` is the second accountant, if there is one."""
    reserve, enrolled, spent = view.reserves[site], view.enrolled[site], view.spent(site)
    before, apart = split_past(reserve, spent)
    everything = [*(p.spending for p in before), spent]
    against_cap = cost(everything, reserve.cap.delta)
    settle = view.settles.get(site)
    return {
        "site": site,
        "status": "settled" if settle else "reserved, not settled",
        "patients": enrolled.patients,
        "cohort": enrolled.cohort,
        "noise_source": reserve.noise_source.value,
        "reserved": spending_json(reserve.spending),
        "settled": spending_json(settle.spending) if settle else None,
        "rounds": settle.rounds if settle else None,
        "alone": priced([spent], reserve.delta, second),
        "composed": priced(everything, reserve.delta, second),
        "before": claim(cost([p.spending for p in before], reserve.cap.delta)),
        "against_cap": claim(against_cap),
        "cap": cap_claim(reserve.cap),
        "left": left_claim(reserve.cap, against_cap),
        "membership": membership(cost(everything, reserve.delta)),
        "after_rounds": _history(view, site, before),
        "not_composed": [_named(p) | {"why": _why_apart(p)} for p in apart],
    }


def composition_rows(view: RunView, site: str, second: Pricer | None) -> list[Json]:
    """Return a row for every composed run on the site's cohort, with its cost and the total so far."""
    reserve, run, spent = view.reserves[site], view.run, view.spent(site)
    before, _ = split_past(reserve, spent)
    settle = view.settles.get(site)
    this = Past(run=run.run, recipe=run.recipe, variant=run.variant, spending=spent)
    rows: list[Json] = []
    so_far: list[Spending] = []
    for past in [*before, this]:
        so_far.append(past.spending)
        known = past is this  # a past run's rounds and clip norm stand in its own ledger
        rows.append(
            _named(past)
            | {
                "site": site,
                "rounds": (settle.rounds if settle else run.rounds) if known else None,
                "clip_norm": run.clip_norm if known else None,
                "spending": spending_json(past.spending),
                "alone": priced([past.spending], reserve.delta, second),
                "cumulative": priced(so_far, reserve.delta, second),
            }
        )
    return rows


def split_past(reserve: Reserve, spent: Spending) -> tuple[list[Past], list[Past]]:
    """Return the earlier runs that compose with `spent`, and those that cannot (ε = ∞, other unit)."""
    kind = (spent.unit, spent.relation)
    fits = [p.spending.is_private and (p.spending.unit, p.spending.relation) == kind for p in reserve.past]
    composed = [p for p, ok in zip(reserve.past, fits, strict=True) if ok]
    return composed, [p for p, ok in zip(reserve.past, fits, strict=True) if not ok]


def priced(spendings: Sequence[Spending], delta: float, second: Pricer | None) -> dict[str, Json]:
    """Return the same cost by both accountants; `rdp` is null when the second one is not at hand."""
    other: Claim | None = claim(second(spendings, delta)) if second else None
    return {"pld": claim(cost(spendings, delta)), "rdp": other}


def spending_json(spending: Spending) -> dict[str, Json]:
    """Return {unit, relation, mechanisms, text}: what ran, and the same in words."""
    fields: dict[str, Json] = spending.model_dump(mode="json")
    parts = []
    for m in spending.mechanisms:
        if isinstance(m, NonPrivate):
            parts.append(f"{m.steps} steps without noise")
        else:
            parts.append(f"{m.steps} × Gaussian σ = {m.noise_multiplier:g}, q = {m.sampling_rate:g}")
    return fields | {"text": "; ".join(parts) or "nothing"}


def _history(view: RunView, site: str, before: Sequence[Past]) -> list[Json]:
    """Return ε after some rounds (always the last), with all that was before, at the cap's δ."""
    settle, delta = view.settles.get(site), view.reserves[site].cap.delta
    planned = settle.rounds if settle else view.run.rounds
    done = settle.rounds if settle else max((r.round for r in view.rounds), default=0)
    past = [p.spending for p in before]
    points: list[Json] = []
    for index in _spread(done):
        spent = spent_after(view.spent(site), index, planned)
        points.append({"round": index, "cost": claim(cost([*past, spent], delta))})
    return points


def spent_after(spending: Spending, rounds: int, of: int) -> Spending:
    """Return what is spent of `spending` after `rounds` of the `of` rounds it is for.

    A mechanism with fewer steps than rounds is a single release: it counts in full from the first round on.
    """
    if rounds >= of:
        return spending

    def steps(total: int) -> int:
        return math.ceil(total * rounds / of) if total >= of or not rounds else total

    parts = tuple(m.model_copy(update={"steps": steps(m.steps)}) for m in spending.mechanisms)
    return spending.model_copy(update={"mechanisms": parts})


def _spread(last: int) -> list[int]:
    """Return at most `MAX_POINTS` + 1 round numbers from 0 to `last`, both included."""
    count = min(last, MAX_POINTS)
    return [0] if count == 0 else [round(last * i / count) for i in range(count + 1)]


def _named(past: Past) -> dict[str, Json]:
    return {"run": past.run, "recipe": past.recipe, "variant": past.variant}


def _why_apart(past: Past) -> str:
    if not past.spending.is_private:
        return "not private (ε = ∞): nothing this run does can undo what that one revealed"
    return f"its unit of privacy is the {past.spending.unit.value}, which does not add up with this run's"
