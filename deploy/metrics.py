"""Prometheus metrics of both ends: computed when they are asked for, from what is on disk, on loopback only."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from deploy.budget import PLANNED, Budget
from shared.errors import UsageError
from shared.privacy.accounting import PrivacyCost

Labels = tuple[str, ...]
_MEANING = ("delta", "unit", "relation", "accountant")  # without these an ε is not written anywhere
_SAID = "Privacy (unit: patient; add/remove; delta, relation and accountant are labels)"


def serve(collector: Collector, port: int) -> WSGIServer:
    """Serve `collector` at http://127.0.0.1:`port`/metrics from a thread of its own, until `.shutdown()`.

    Raises:
        UsageError: the port is taken.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        server, _ = start_http_server(port, addr="127.0.0.1", registry=registry)
    except OSError as err:
        raise UsageError(f"port {port} of 127.0.0.1: {err.strerror}; set another metrics_port") from err
    return server


def gauge(name: str, said: str, value: float) -> Metric:
    """Return a metric without labels."""
    return GaugeMetricFamily(name, said, value=value)


def gauges(name: str, said: str, labels: Labels, values: Iterable[tuple[Labels, float]]) -> Metric:
    """Return a metric with a value for each tuple of labels."""
    family = GaugeMetricFamily(name, said, labels=labels)
    for which, value in values:
        family.add_metric(which, value)
    return family


def counts(name: str, said: str, labels: Labels, values: Iterable[tuple[Labels, float]]) -> Metric:
    """Return a metric that only grows; it is served as `name`_total."""
    family = CounterMetricFamily(name, said, labels=labels)
    for which, value in values:
        family.add_metric(which, value)
    return family


def certificates(until: Mapping[str, datetime | None]) -> Metric:
    """Return when each certificate there is ceases to be valid."""
    return gauges(
        "willis_certificate_expiry_timestamp_seconds",
        "When a certificate ceases to be valid, in seconds since 1970.",
        ("certificate",),
        (((name,), when.timestamp()) for name, when in until.items() if when),
    )


def budgets(of: Mapping[str, Budget]) -> Iterator[Metric]:
    """Yield what each site's cohort has spent, set aside and left, never without what gives an ε its meaning."""
    epsilon = GaugeMetricFamily(
        "willis_budget_epsilon",
        f"{_SAID} of all runs of a site: epsilon of what is settled (state spent), of that and what is reserved "
        f"(committed), {PLANNED}; the site's limit (cap).",
        labels=("site", "state", *_MEANING),
    )
    left = GaugeMetricFamily(
        "willis_budget_left_epsilon",
        f"{_SAID}: the site's cap minus epsilon committed, {PLANNED}. How near the cap is, not what may be added.",
        labels=("site", *_MEANING),
    )
    share = GaugeMetricFamily(
        "willis_budget_filter_left_ratio",
        f"{_SAID}: share left of the filter that decides on every run after a site's first; 0: none may follow.",
        labels=("site", *_MEANING),
    )
    for site, budget in of.items():
        for state, price in (("spent", budget.spent), ("committed", budget.committed), ("cap", budget.limit)):
            epsilon.add_metric([site, state, *_meaning(price)], price.epsilon)
        left.add_metric([site, *_meaning(budget.left)], budget.left.epsilon)
        named = [*_meaning(budget.limit)[:-1], budget.filter_name]
        share.add_metric([site, *named], budget.filter_left)
    yield from (epsilon, left, share)


def _meaning(price: PrivacyCost) -> list[str]:
    return [f"{price.delta:g}", price.unit.value, price.relation.value, price.accountant]
