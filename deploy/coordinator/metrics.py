"""Metrics of the coordinating centre: runs, bytes, refusals, hospitals, budgets. On loopback only."""

from collections.abc import Callable, Iterator, Sequence
from wsgiref.simple_server import WSGIServer

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from deploy.coordinator.accounts import refusals, site_budgets, sites
from deploy.coordinator.home import CoordinatorHome
from deploy.coordinator.runs import STATES, Standing, standings
from deploy.metrics import budgets, certificates, counts, gauge, gauges
from deploy.metrics import serve as serve_collector
from deploy.observed import expiry, free_bytes, ledger_events
from shared.errors import WillisError

_CERTIFICATES = {"ca": "ca/ca.crt", "front": "tls/server.crt", "superlink": "tls/loopback.crt"}


class CoordinatorCollector(Collector):
    """Reads the centre's folder at every scrape."""

    def __init__(self, home: CoordinatorHome) -> None:
        self._home = home

    def collect(self) -> Iterator[Metric]:
        """Yield what can be read; a ledger or a run that cannot is a metric too."""
        home = self._home
        yield gauge(
            "willis_disk_free_bytes", "Free space where the centre keeps its folder.", free_bytes(home.path)
        )
        yield certificates({name: expiry(home.path / file) for name, file in _CERTIFICATES.items()})
        yield from self._runs()
        yield from self._ledger()

    def _runs(self) -> Iterator[Metric]:
        said = "1 where every run's own files can be read, 0 where a person must look."
        try:
            runs = standings(self._home)
        except WillisError:
            yield gauge("willis_runs_readable", said, 0)
            return
        yield gauge("willis_runs_readable", said, 1)
        yield from _rounds(runs)
        yield from _traffic(runs)

    def _ledger(self) -> Iterator[Metric]:
        said = "1 where the federation's ledger and hospitals can be read, 0 where a person must look."
        try:
            events = ledger_events(self._home.federation.ledger_file)
            left = site_budgets(events)
            approved = sites(self._home)
        except WillisError:
            yield gauge("willis_ledger_readable", said, 0)
            return
        yield gauge("willis_ledger_readable", said, 1)
        yield gauges(
            "willis_sites",
            "Hospitals that were approved.",
            ("state",),
            (((state,), number) for state, number in approved.items()),
        )
        yield gauge("willis_ledger_entries", "Entries of the federation's ledger.", len(events))
        yield counts(
            "willis_refusals",
            "Refusals in the ledger: a site refuses a run, the centre an update.",
            ("by", "site", "code"),
            sorted(refusals(events).items()),
        )
        yield from budgets(left)


def serve(home: CoordinatorHome) -> WSGIServer:
    """Serve the centre's metrics on loopback at its `metrics_port`, until `.shutdown()`.

    Raises:
        UsageError: the port is taken, or the settings are not valid.
    """
    return serve_collector(CoordinatorCollector(home), home.settings.metrics_port)


def _rounds(runs: Sequence[Standing]) -> Iterator[Metric]:
    yield gauges(
        "willis_run_state",
        "1 for the state a run is in, 0 for the others.",
        ("run", "state"),
        (((run.name, state), run.status.state == state) for run in runs for state in STATES),
    )
    for name, said, value in _ROUNDS:
        known = ((run.name, value(run)) for run in runs)
        yield gauges(name, said, ("run",), (((run,), number) for run, number in known if number is not None))


_ROUNDS: tuple[tuple[str, str, Callable[[Standing], float | None]], ...] = (
    ("willis_run_rounds_done", "Rounds a run has done.", lambda run: run.status.round),
    ("willis_run_rounds_planned", "Rounds a run was asked for.", lambda run: run.job.rounds),
    ("willis_run_round_last_seconds", "Time of a run's last round.", lambda run: run.status.round_seconds),
    ("willis_run_round_mean_seconds", "Mean time of a run's rounds.", lambda run: run.status.mean_round_seconds),
    (
        "willis_run_updated_timestamp_seconds",
        "When a run last wrote down how it stands, in seconds since 1970.",
        lambda run: run.status.updated,
    ),
)


def _traffic(runs: Sequence[Standing]) -> Iterator[Metric]:
    yield gauges(
        "willis_run_refusals",
        "Updates and reservations of a run that were refused or did not come, since it was last started.",
        ("run",),
        (((run.name,), run.status.refusals) for run in runs),
    )
    yield gauges(
        "willis_run_bytes",
        "Bytes of a run's rounds since it was last started: out to the sites, in from them.",
        ("run", "direction"),
        [((run.name, "out"), run.status.bytes_out) for run in runs]
        + [((run.name, "in"), run.status.bytes_in) for run in runs],
    )
