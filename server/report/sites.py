"""The figures of a group of sites in the budget report: what the run cost their patients, alone and in all.

Sites whose accounts are the same share their figures, so a report of a hundred equal sites stays short.
"""

import math
from collections.abc import Sequence

from server.report.accounts import Account, guarantee, if_planned
from server.report.claims import SecondOpinions, cap_claim, claim, left_claim, membership, priced, shares
from server.report.words import FIXED_PLANS
from shared.canonical import Json
from shared.ledger.budget import filter_of
from shared.ledger.events import Past
from shared.ledger.view import RunView
from shared.privacy.accounting import cost
from shared.privacy.events import NonPrivate, Spending

POINTS = 8  # of ε over rounds for one group: each costs a fraction of a second of numerical composition
ALL_POINTS = 16  # for all groups together


def group_figures(
    view: RunView, sites: Sequence[str], mine: Account, second: SecondOpinions | None, points: int
) -> dict[str, Json]:
    """Return the figures of `sites`, which share the account `mine`."""
    reserve, settle = mine.reserve, mine.settle
    at_cap, sure = cost(mine.everything, reserve.cap.delta), guarantee(mine)
    return {
        "sites": list(sites),
        "status": "settled" if settle else "reserved, not settled",
        "noise_source": reserve.noise_source.value,
        "reserved": spending_json(reserve.spending),
        "settled": spending_json(settle.spending) if settle else None,
        "rounds": settle.rounds if settle else None,
        "first_plan": mine.is_first,
        "alone": priced([mine.spent], reserve.delta, second),
        "if_planned": {"cost": priced(mine.everything, reserve.delta, second), "condition": FIXED_PLANS},
        "guaranteed": {"cost": claim(sure.cost), "condition": sure.condition},
        "cap": cap_claim(reserve.cap),
        "against_cap": claim(at_cap),
        "left": left_claim(reserve.cap, at_cap),
        "filter": filter_json(mine),
        "membership": {"if_planned": membership(if_planned(mine)), "guaranteed": membership(sure.cost)},
        "after_rounds": _history(view, mine, points),
        "not_composed": [named(p) | {"why": _why_apart(p)} for p in mine.apart],
        "composition": composition_rows(view, mine, second),
    }


def composition_rows(view: RunView, mine: Account, second: SecondOpinions | None) -> list[Json]:
    """Return a row for every composed run on the cohort, with its cost and the total so far."""
    run, delta = view.run, mine.reserve.delta
    this = Past(run=run.run, recipe=run.recipe, variant=run.variant, spending=mine.spent)
    rows: list[Json] = []
    so_far: list[Spending] = []
    for past in [*mine.before, this]:
        so_far.append(past.spending)
        known = past is this  # a past run's rounds and clip norm stand in its own entries
        rows.append(
            named(past)
            | {
                "rounds": (mine.settle.rounds if mine.settle else run.rounds) if known else None,
                "clip_norm": run.clip_norm if known else None,
                "spending": spending_json(past.spending),
                "alone": priced([past.spending], delta, second),
                "cumulative": priced(so_far, delta, second),
            }
        )
    return rows


def filter_json(mine: Account) -> dict[str, Json] | None:
    """Return how full the cap's Rényi filter is, as shares of its budget; None if it does not apply.

    Rényi costs of one order add up exactly, so these shares do, as epsilons do not. The filter decides on every
    run after the first; a first plan may overfill it, and is then the last.
    """
    cap, reserve = mine.reserve.cap, mine.reserve
    if not (reserve.spending.protects_patients and mine.spent.protects_patients):
        return None
    rule = filter_of(cap)
    before = rule.used([past.spending for past in mine.before]) / rule.budget
    this = rule.used([mine.spent]) / rule.budget
    left = math.floor(max(0.0, 1 - before - this) * 1e6) / 1e6
    earlier, spent, reserved = shares((before, this if mine.settle else 0.0, 0.0 if mine.settle else this))
    return {"order": cap.order, "before": earlier, "this": spent, "reserved": reserved, "left": left}


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


def _history(view: RunView, mine: Account, most: int) -> list[Json]:
    """Return ε after some rounds (always the last), with all that was before, at the cap's δ, by PLD."""
    settle, delta = mine.settle, mine.reserve.cap.delta
    planned = settle.rounds if settle else view.run.rounds
    done = settle.rounds if settle else max((r.round for r in view.rounds), default=0)
    past = [p.spending for p in mine.before]
    points: list[Json] = []
    for index in _spread(done, most):
        spent = spent_after(mine.spent, index, planned)
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


def _spread(last: int, most: int) -> list[int]:
    """Return at most `most` + 1 round numbers from 0 to `last`, both included."""
    count = min(last, most)
    return [0] if count == 0 else [round(last * i / count) for i in range(count + 1)]


def named(past: Past) -> dict[str, Json]:
    """Return an earlier run by its name, recipe and variant."""
    return {"run": past.run, "recipe": past.recipe, "variant": past.variant}


def _why_apart(past: Past) -> str:
    if not past.spending.is_private:
        return "not private (ε = ∞): nothing this run does can undo what that one revealed"
    return f"its unit of privacy is the {past.spending.unit.value}, which does not add up with this run's"
