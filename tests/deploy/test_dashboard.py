"""The dashboard asks only for metrics that exist, and shows every one of them."""

import json
import re
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.registry import Collector

from deploy.coordinator.metrics import CoordinatorCollector
from deploy.site.metrics import SiteCollector
from tests.deploy.folders import add_run, centre, hospital, running
from tests.server.ledgers import Story

DASHBOARD = Path(__file__).parents[2] / "deploy" / "kit" / "grafana-dashboard.json"


def test_the_dashboard_shows_exactly_the_metrics_there_are(tmp_path: Path) -> None:
    home = centre(tmp_path / "centre", Story().events())
    add_run(home, "first", running())
    collectors: list[Collector] = [CoordinatorCollector(home), SiteCollector(hospital(tmp_path / "site"))]
    served = {_served(metric): metric for collector in collectors for metric in collector.collect()}
    asked = set(re.findall(r"\bwillis_[a-z_]+", " ".join(_queries())))
    assert asked == set(served)


def test_labels_the_dashboard_names_are_labels_of_the_metric_it_asks_for(tmp_path: Path) -> None:
    home = centre(tmp_path / "centre", Story().events())
    add_run(home, "first", running())
    labels = {
        _served(metric): set(metric.samples[0].labels)
        for collector in (CoordinatorCollector(home), SiteCollector(hospital(tmp_path / "site")))
        for metric in collector.collect()
        if metric.samples
    }
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"])) - {"instance"}
            for metric in re.findall(r"\bwillis_[a-z_]+", target["expr"])[:1]:
                assert metric not in labels or named <= labels[metric], panel["title"]


def test_no_epsilon_is_shown_without_what_gives_it_meaning() -> None:
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            if "willis_budget" in target["expr"]:
                legend = target["legendFormat"]
                assert all(f"{{{{{label}}}}}" in legend for label in ("delta", "unit", "relation", "accountant"))


def _queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def _served(metric: Metric) -> str:
    return metric.name + ("_total" if metric.type == "counter" else "")
