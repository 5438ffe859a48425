"""Metrics of a hospital, for its own monitoring: on loopback, and nothing in them is derived from patients.

The number of patients is no value and no label. Reasons of refusals, which may name it, are left out: codes only.
"""

from collections import Counter
from collections.abc import Iterator
from wsgiref.simple_server import WSGIServer

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from deploy.metrics import budgets, certificates, counts, gauge, gauges
from deploy.metrics import serve as serve_collector
from deploy.observed import expiry, free_bytes
from deploy.site.accounts import Accounts, accounts, site_budget
from deploy.site.approvals import Approvals
from deploy.site.home import SiteHome
from shared.errors import WillisError


class SiteCollector(Collector):
    """Reads the hospital's folder at every scrape."""

    def __init__(self, home: SiteHome) -> None:
        self._home = home

    def collect(self) -> Iterator[Metric]:
        """Yield what can be read; a ledger or policy that cannot is a metric too."""
        home = self._home
        yield gauge(
            "willis_site_disk_free_bytes", "Free space where Willis keeps its folder.", free_bytes(home.path)
        )
        yield certificates({"site": expiry(home.keys / "tls.crt"), "ca": expiry(home.ca)})
        yield from self._ledger()

    def _ledger(self) -> Iterator[Metric]:
        said = "1 where the site's own ledger, policy and decisions can be read, 0 where a person must look."
        try:
            known = accounts(self._home)
            left = site_budget(self._home, known)
            approved = Approvals(self._home.bundles).approved()
        except WillisError:
            yield gauge("willis_site_ledger_readable", said, 0)
            return
        yield gauge("willis_site_ledger_readable", said, 1)
        yield gauge("willis_site_bundles_approved", "App bundles that may run here.", len(approved))
        yield from _counts(known)
        yield from budgets({self._home.settings.name: left})


def serve(home: SiteHome) -> WSGIServer:
    """Serve the hospital's metrics on loopback at its `metrics_port`, until `.shutdown()`.

    Raises:
        UsageError: the port is taken, or the settings are not valid.
    """
    return serve_collector(SiteCollector(home), home.settings.metrics_port)


def _counts(known: Accounts) -> Iterator[Metric]:
    open_ = sum(run.is_open for run in known.runs)
    yield gauges(
        "willis_site_reservations",
        "Runs for which budget was set aside.",
        ("state",),
        ((("open",), open_), (("settled",), len(known.runs) - open_)),
    )
    yield counts(
        "willis_site_rounds_begun",
        "Rounds of a run whose private steps were begun, and so charged.",
        ("run",),
        (((run.run,), run.begun) for run in known.runs),
    )
    codes = Counter(refusal.code for refusal in known.refusals)
    yield counts(
        "willis_site_refusals",
        "Refusals in the site's own ledger.",
        ("code",),
        (((code,), count) for code, count in sorted(codes.items())),
    )
