"""Metrics tell what is on disk, on loopback only, and nothing that is derived from patients."""

import re
import socket
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from deploy.coordinator.metrics import CoordinatorCollector
from deploy.metrics import serve
from deploy.site.approvals import Approvals
from deploy.site.metrics import SiteCollector
from server.report.accounts import account, if_planned
from shared.canonical import digest
from shared.errors import UsageError
from shared.ledger.events import Event, Refuse
from shared.ledger.view import views
from shared.privacy.accounting import cost
from tests.deploy.folders import add_run, approve_sites, centre, certificate, hospital, reserve, running
from tests.server.ledgers import DELTA, PRIVATE_PAST, Story, cap_of, gaussian, signed_all

MEANING = {"delta": "1e-05", "unit": "patient", "relation": "add/remove", "accountant": "PLD, dp-accounting"}


class Samples:
    """What one scrape gave."""

    def __init__(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        self._all = [sample for family in families for sample in family.samples]

    def __contains__(self, name: str) -> bool:
        return any(sample.name == name for sample in self._all)

    def all(self, name: str) -> list[dict[str, str | float]]:
        """Return labels and value of every sample."""
        return [{**sample.labels, "value": sample.value} for sample in self._all if sample.name == name]

    def __call__(self, name: str, **labels: str) -> float:
        """Return the value of the one sample with exactly these labels."""
        (value,) = (s.value for s in self._all if s.name == name and s.labels == labels)
        return value


def scrape(collector: Collector) -> tuple[Samples, str]:
    """Return what is served, parsed and as it is."""
    registry = CollectorRegistry()
    registry.register(collector)
    text = generate_latest(registry).decode()
    return Samples(text), text


def refused(site: str, code: str, by: str = "site") -> Event:
    return Refuse.model_validate(
        {"run": Story().run_id, "site": site, "by": by, "round": 1, "code": code, "reason": "40 patients"}
    )


def test_a_centre_tells_of_its_runs(tmp_path: Path) -> None:
    home = centre(tmp_path, Story().events())
    add_run(home, "first", running())
    add_run(home, "never-begun")
    found, _ = scrape(CoordinatorCollector(home))
    assert found("willis_run_state", run="first", state="running") == 1
    assert found("willis_run_state", run="first", state="finished") == 0
    assert found("willis_run_state", run="never-begun", state="interrupted") == 1
    assert found("willis_run_rounds_done", run="first") == 2
    assert found("willis_run_rounds_planned", run="first") == 4
    assert found.all("willis_run_round_last_seconds") == [{"run": "first", "value": 40}]
    assert found.all("willis_run_round_mean_seconds") == [{"run": "first", "value": 30}]
    assert found("willis_run_bytes", run="first", direction="out") == 3000
    assert found("willis_run_bytes", run="first", direction="in") == 2000


def test_a_centre_tells_of_its_hospitals(tmp_path: Path) -> None:
    refusals = [
        refused("north", "policy"),
        refused("north", "policy"),
        refused("south", "protocol", "coordinator"),
    ]
    home = centre(tmp_path, [*Story().events(), *refusals])
    approve_sites(home, active=("north", "south"), revoked=("west",))
    certificate(home.tls / "server.crt", days=10)
    found, text = scrape(CoordinatorCollector(home))
    assert [found("willis_sites", state=state) for state in ("active", "revoked")] == [2, 1]
    assert found.all("willis_refusals_total") == [
        {"by": "coordinator", "site": "south", "code": "protocol", "value": 1},
        {"by": "site", "site": "north", "code": "policy", "value": 2},
    ]
    assert "40" not in re.findall(r'"([^"]*)"', text)
    assert [c["certificate"] for c in found.all("willis_certificate_expiry_timestamp_seconds")] == ["front"]


def test_a_budget_is_the_one_of_the_report_and_says_what_it_means(tmp_path: Path) -> None:
    story = Story(settled=("north",), rounds_done=2, past={"south": (PRIVATE_PAST,)})
    home = centre(tmp_path, story.events())
    found, text = scrape(CoordinatorCollector(home))
    (view,) = views(signed_all(story.events())).values()
    for site in story.sites:
        of = if_planned(account(view, site)).epsilon
        assert found("willis_budget_epsilon", site=site, state="committed", **MEANING) == of
        assert found("willis_budget_left_epsilon", site=site, **MEANING) == 10 - of
    spent = {site: found("willis_budget_epsilon", site=site, state="spent", **MEANING) for site in story.sites}
    assert spent["north"] == cost([gaussian(2)], DELTA).epsilon
    assert spent["south"] == cost([PRIVATE_PAST.spending], DELTA).epsilon
    assert spent["west"] == 0
    for line in text.splitlines():
        if "epsilon" in line.split("{")[0] and not line.startswith("#"):
            assert all(f'{label}="' in line for label in MEANING)
        if line.startswith("# HELP willis_budget"):
            assert "unit: patient; add/remove" in line


def test_a_spoilt_ledger_is_a_metric_and_hides_no_other(tmp_path: Path) -> None:
    home = centre(tmp_path, Story().events())
    add_run(home, "first", running())
    mirror = home.federation.ledger_file.with_suffix(".jsonl")
    mirror.write_bytes(mirror.read_bytes().replace(b"north", b"nord"))
    found, _ = scrape(CoordinatorCollector(home))
    assert found("willis_ledger_readable") == 0
    assert found("willis_run_rounds_done", run="first") == 2
    assert "willis_budget_epsilon" not in found


def test_a_hospital_tells_of_its_own_ledger(tmp_path: Path) -> None:
    home = hospital(tmp_path)
    reserve(home, Story(recipe="lesions-3d"), begun=3)
    certificate(home.keys / "tls.crt", days=10)
    approvals = Approvals(home.bundles)
    first, _ = (approvals.approve(content, "") for content in (b"first", b"second"))
    approvals.refuse("0" * 64, "not approved")
    approvals.revoke(first, "")
    found, _ = scrape(SiteCollector(home))
    assert found("willis_site_bundles_approved") == 1
    assert found("willis_site_ledger_readable") == 1
    assert [found("willis_site_reservations", state=state) for state in ("open", "settled")] == [1, 0]
    assert found("willis_site_rounds_begun_total", run=Story().run_id) == 3
    committed = found("willis_budget_epsilon", site="north", state="committed", **MEANING)
    assert committed == cost([gaussian(4)], DELTA).epsilon
    assert [c["certificate"] for c in found.all("willis_certificate_expiry_timestamp_seconds")] == ["site"]


def test_a_later_run_counts_as_settled_and_the_first_in_full(tmp_path: Path) -> None:
    home = hospital(tmp_path)
    reserve(home, Story(recipe="lesions-3d"), begun=1, settle=True)
    reserve(home, Story(recipe="lesions-3d", run_id=digest(b"b")), begun=2, settle=True)
    found, _ = scrape(SiteCollector(home))
    assert [found("willis_site_reservations", state=state) for state in ("open", "settled")] == [0, 2]
    spent = found("willis_budget_epsilon", site="north", state="spent", **MEANING)
    assert spent == cost([gaussian(4), gaussian(2)], DELTA).epsilon


@pytest.mark.parametrize("patients", [4, 7])
def test_nothing_at_a_hospital_tells_how_many_patients_it_has(tmp_path: Path, patients: int) -> None:
    """Two cohorts that differ in nothing but their number of patients give the same text, byte for byte."""
    texts = []
    for number in (patients, patients + 1):
        home = hospital(tmp_path / str(number), number)
        reserve(home, Story(recipe="lesions-3d"), begun=2)
        home.site.refuse(Story().run_id, 3, f"the cohort has {number} patients")
        _, text = scrape(SiteCollector(home))
        texts.append(re.sub(r"(willis_site_disk_free_bytes) .*", r"\1", text))
    assert texts[0] == texts[1]


def test_a_new_hospital_has_its_cap_before_it(tmp_path: Path) -> None:
    found, _ = scrape(SiteCollector(hospital(tmp_path)))
    assert found("willis_budget_left_epsilon", site="north", **MEANING) == 20
    filter_ = {**MEANING, "accountant": f"Rényi filter of order {cap_of(20.0).order}"}
    assert found("willis_budget_filter_left_ratio", site="north", **filter_) == 1


def test_a_policy_that_cannot_be_read_is_a_metric(tmp_path: Path) -> None:
    home = hospital(tmp_path)
    (tmp_path / "policy.toml").write_text("max_epsilon = lots\n")
    found, _ = scrape(SiteCollector(home))
    assert found("willis_site_ledger_readable") == 0
    assert "willis_budget_epsilon" not in found


def test_a_spoilt_decision_or_hospital_is_a_metric(tmp_path: Path) -> None:
    site, home = hospital(tmp_path / "site"), centre(tmp_path / "centre")
    site.bundles.mkdir()
    (site.bundles / "decisions.jsonl").write_text("spoilt\n")
    home.sites.mkdir()
    (home.sites / "north.json").write_text("spoilt")
    assert scrape(SiteCollector(site))[0]("willis_site_ledger_readable") == 0
    assert scrape(CoordinatorCollector(home))[0]("willis_ledger_readable") == 0


def test_it_is_served_on_loopback_only(tmp_path: Path) -> None:
    home = centre(tmp_path, Story().events())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = serve(CoordinatorCollector(home), port)
    try:
        assert server.server_address[0] == "127.0.0.1"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert b"willis_ledger_entries" in answer.read()
        with pytest.raises(UsageError, match="set another metrics_port"):
            serve(CoordinatorCollector(home), port)
    finally:
        server.shutdown()
        server.server_close()
