"""What the centre knows of its hospitals: how many there are, and, by the ledger, their budgets and refusals."""

from collections import Counter
from collections.abc import Sequence

from deploy.budget import Budget, budget
from deploy.coordinator.home import CoordinatorHome
from deploy.coordinator.sites import all_sites
from server.report.accounts import account
from shared.ledger.events import Refuse
from shared.ledger.log import SignedEvent
from shared.ledger.view import views


def sites(home: CoordinatorHome) -> dict[str, int]:
    """Return how many hospitals are active, and how many were revoked.

    Raises:
        UsageError: a hospital's file is damaged.
    """
    active = [site.active for site in all_sites(home)]
    return {"active": active.count(True), "revoked": active.count(False)}


def site_budgets(events: Sequence[SignedEvent]) -> dict[str, Budget]:
    """Return each hospital's account as it stood with its last reservation, as the run's report has it.

    Raises:
        WillisError: the ledger's entries contradict one another.
    """
    found: dict[str, Budget] = {}
    for view in views(events).values() if events else ():
        for site, reserve in view.reserves.items():
            mine = account(view, site)
            before = [past.spending for past in (*mine.before, *mine.apart)]
            done, open_ = ([*before, mine.spent], []) if mine.settle else (before, [mine.spent])
            found[site] = budget(reserve.cap, done, open_)
    return dict(sorted(found.items()))


def refusals(events: Sequence[SignedEvent]) -> Counter[tuple[str, ...]]:
    """Return how often each (who refused, site, code) is in the ledger."""
    told = (signed.event for signed in events)
    return Counter((event.by, event.site, event.code) for event in told if isinstance(event, Refuse))
