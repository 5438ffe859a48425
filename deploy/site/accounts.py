"""What a hospital's own ledger says of its runs and of its budget: read, never written."""

from dataclasses import dataclass

from client import history
from deploy.budget import Budget, budget
from deploy.observed import ledger_events
from deploy.site.home import SiteHome
from shared.ledger.events import Refuse, Reserve
from shared.ledger.log import SignedEvent
from shared.privacy.accounting import PrivacyCost, cost
from shared.privacy.events import Spending


@dataclass(frozen=True)
class SiteRun:
    """A run for which budget was set aside."""

    run: str
    recipe: str
    variant: str
    is_open: bool  # reserved and not settled: it counts in full
    begun: int  # rounds whose private steps were begun
    rounds: int  # planned
    spending: Spending  # what it counts as having cost
    price: PrivacyCost  # of that alone


@dataclass(frozen=True)
class Accounts:
    """Everything the ledger holds that a person asks for."""

    runs: tuple[SiteRun, ...]
    refusals: tuple[Refuse, ...]
    order: int | None  # of the Rényi filter, once the first reservation has fixed it


def accounts(home: SiteHome) -> Accounts:
    """Return what was reserved, settled and refused, in order.

    Raises:
        WillisError: the ledger, or what was kept of a run, is damaged.
    """
    events = ledger_events(home.ledger_file)
    return Accounts(
        runs=tuple(_runs(home, events)),
        refusals=tuple(signed.event for signed in events if isinstance(signed.event, Refuse)),
        order=history.filter_order(events),
    )


def site_budget(home: SiteHome, known: Accounts) -> Budget:
    """Return what the cohort has spent and set aside under the cap of the policy.

    Raises:
        WillisError: the policy is not valid.
    """
    policy = home.policy
    if known.order:
        policy = policy.model_copy(update={"renyi_order": known.order})
    settled = [run.spending for run in known.runs if not run.is_open]
    return budget(policy.cap, settled, [run.spending for run in known.runs if run.is_open])


def _runs(home: SiteHome, events: tuple[SignedEvent, ...]) -> list[SiteRun]:
    site = home.site
    reserves = {s.event.run: s.event for s in events if isinstance(s.event, Reserve)}
    plans = {run: site.plan(run) for run in reserves}
    rounds = {run: site.outbox(run).rounds for run in plans}
    begun = {r: history.executed(p.spending, rounds[r] * p.steps_per_round) for r, p in plans.items()}
    counted = {past.run: past.spending for past in history.past(events, begun=begun)}
    found = []
    for run, reserve in reserves.items():
        stands = history.standing(events, run)
        spending = counted.get(run, begun[run])  # one that was settled before its first step is not counted
        found.append(
            SiteRun(
                run=run,
                recipe=reserve.recipe,
                variant=reserve.variant,
                is_open=stands is not None and isinstance(stands.event, Reserve),
                begun=rounds[run],
                rounds=plans[run].rounds,
                spending=spending,
                price=cost([spending], reserve.delta),
            )
        )
    return found
