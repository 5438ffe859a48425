"""How hospitals come into a federation, and go: by the commands of the centre and of a hospital."""

from pathlib import Path

import pytest

from client.policy import Policy
from deploy.coordinator.authority import Authority
from deploy.coordinator.home import CoordinatorHome
from deploy.coordinator.sites import all_sites, site_named
from deploy.observed import ledger_events
from deploy.requests import Request
from deploy.site.home import SiteHome
from shared.canonical import digest
from shared.certificates import certificate_at
from shared.ledger.events import Reserve
from tests.commands import Outcome, willis
from tests.deploy.folders import hospital as spent_at
from tests.deploy.folders import reserve
from tests.deploy.handshakes import client_context, handshake, server_context
from tests.deploy.parties import (
    approve,
    centre,
    content,
    hospital,
    join,
    request_of,
    shown,
)
from tests.server.ledgers import Story

WRONG = "0000 " * 8


def test_a_federation_is_founded_with_its_terms_once(here: Path) -> None:
    home = centre(here / "centre", "--host", "10.0.0.1", "--port", "9443", "--delta", "1e-6", "--overlap", "2")
    assert home.addresses == ("localhost:9443", "10.0.0.1:9443")
    assert (home.federation.terms().delta, home.federation.terms().overlap) == (1e-6, 2)
    before = content(home.path)
    said = willis("coordinator", "--home", home.path, "init", "--name", "b", "--host", "b").sentence()
    assert said == f"{home.settings_file}: exists already; edit it, or name another folder with --home"
    assert content(home.path) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--name", "Stroke", "--host", "a"), "name: "),
        (("--name", "a", "--host", "a:1"), "neither a DNS name nor an IP address"),
        (("--name", "a", "--host", "a", "--port", "0"), "port: "),
    ],
)
def test_what_does_not_fit_founds_nothing(words: tuple[str, ...], said: str, here: Path) -> None:
    assert said in willis("coordinator", "--home", here / "centre", "init", *words).sentence()
    assert not (here / "centre").exists()


def test_a_ledger_that_is_there_keeps_its_terms_and_its_key(here: Path) -> None:
    CoordinatorHome(here / "centre").federation.found(1e-6, 2)
    words = ("coordinator", "--home", here / "centre", "init", "--name", "a", "--host", "a")
    assert "founded with delta=1e-06" in willis(*words, "--delta", "1e-5").sentence()
    key = (here / "centre" / "federation" / "coordinator.key").read_bytes()
    assert willis(*words).status == 0
    assert (here / "centre" / "federation" / "coordinator.key").read_bytes() == key


def test_a_hospital_makes_its_keys_once_and_the_same_request_again(here: Path) -> None:
    site = hospital(here / "hospital-a")
    before, sent = content(site.path), Path("hospital-a.request").read_bytes()
    again = willis("site", "--home", site.path, "request")
    assert again.status == 0
    assert content(site.path) == before
    assert Path("hospital-a.request").read_bytes() == sent
    assert shown(again) == request_of(site).fingerprint
    assert site.policy == Policy()


def test_a_hospital_keeps_its_name_and_says_where_its_images_are(here: Path) -> None:
    site = hospital(here / "hospital-a")
    before = content(site.path)
    for words, said in {
        ("--name", "hospital-b"): "whose name is in ledgers and cannot change",
        ("--cohort", "."): f"the cohort is {site.path / 'images'}; change it there",
    }.items():
        assert said in willis("site", "--home", site.path, "request", *words).sentence()
    assert content(site.path) == before


@pytest.mark.parametrize("words", [(), ("--name", "a"), ("--cohort", ".")])
def test_the_first_time_a_hospital_says_who_it_is(words: tuple[str, ...], here: Path) -> None:
    said = willis("site", "--home", here / "a", "request", *words).sentence()
    assert "the first time, name the hospital and its --cohort" in said
    assert not (here / "a").exists()


def first_request(home: SiteHome, cohort: Path) -> Outcome:
    """Set a hospital up, named as its folder."""
    return willis("site", "--home", home.path, "request", "--name", home.path.name, "--cohort", cohort)


def test_images_on_which_something_was_spent_elsewhere_are_refused(here: Path) -> None:
    old, new = spent_at(here / "old"), SiteHome(here / "new")
    assert first_request(SiteHome(here / "before"), old.cohort).status == 0  # while nothing was spent
    reserve(old, Story())
    said = first_request(new, old.cohort).sentence()
    assert said.startswith(f"{old.ledger_file}: what was spent on these images there does not count")
    assert "willis site join --leave" in said
    assert not new.path.exists()
    (old.path / ".willis").rename(old.cohort / ".willis")  # as a simulation leaves it
    assert first_request(new, old.cohort).sentence().startswith(str(old.cohort / ".willis" / "ledger.sqlite"))
    assert not new.path.exists()
    assert first_request(SiteHome(old.cohort), old.cohort).status == 0  # its own


def test_a_policy_that_was_written_before_stays(here: Path) -> None:
    (here / "hospital-a").mkdir()
    (here / "hospital-a" / "policy.toml").write_text("max_epsilon = 1.0\n")
    assert hospital(here / "hospital-a").policy.max_epsilon == 1.0


def test_approved_again_a_hospital_gets_another_certificate_without_a_call(here: Path) -> None:
    home = centre(here / "centre")
    site = join(home, hospital(here / "hospital-a"))
    first = site_named(home, "hospital-a")
    assert willis("site", "--home", site.path, "request").status == 0
    assert willis("coordinator", "--home", home.path, "approve", "hospital-a.request").status == 0
    assert willis("site", "--home", site.path, "join", "hospital-a.answer").status == 0
    second = site_named(home, "hospital-a")
    assert (second.earlier, second.tls_key) == ((first.serial,), first.tls_key)
    assert certificate_at(site.keys / "tls.crt").serial_number == second.serial != first.serial


def test_a_name_or_a_key_belongs_to_one_hospital(here: Path) -> None:
    home = centre(here / "centre")
    first = hospital(here / "hospital-a")
    approve(home, first)
    namesake = hospital(here / "elsewhere" / "hospital-a")  # writes the same file name
    own = ("coordinator", "--home", home.path, "approve", "hospital-a.request")
    said = willis(*own, "--fingerprint", request_of(namesake).fingerprint).sentence()
    assert "has another signing key, which the ledger keeps" in said

    other = hospital(here / "hospital-b")
    for name in ("node", "tls.key"):
        mine = (other.keys / name).read_bytes()
        (other.keys / name).write_bytes((first.keys / name).read_bytes())
        willis("site", "--home", other.path, "request")
        words = ("hospital-b.request", "--fingerprint", request_of(other).fingerprint)
        said = willis("coordinator", "--home", home.path, "approve", *words).sentence()
        assert "has a key of hospital-a" in said
        (other.keys / name).write_bytes(mine)
    assert [site.name for site in all_sites(home)] == ["hospital-a"]


def test_another_tls_key_alone_needs_a_call_and_shuts_the_old_one_out(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = centre(here / "centre")
    site = join(home, hospital(here / "hospital-a"))
    old = site_named(home, "hospital-a")
    (site.keys / "tls.key").unlink()
    assert willis("site", "--home", site.path, "request").status == 0
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: WRONG)
    refused = willis("coordinator", "--home", home.path, "approve", "hospital-a.request")
    assert "not the fingerprint" in refused.sentence()  # a stolen signing key alone fetches no certificate
    assert site_named(home, "hospital-a") == old
    join(home, site)
    assert Authority(home.ca).revoked == (old.serial,)
    assert site_named(home, "hospital-a").tls_key != old.tls_key


def test_a_hospital_under_a_new_name_and_signing_key_takes_its_spending_along(here: Path) -> None:
    old, new = spent_at(here / "old"), SiteHome(here / "north-2")
    reserve(old, Story(), begun=1, settle=True)
    aside = (old.path / ".willis").rename(here / "aside")
    first_request(new, old.cohort)
    (aside / "site.key").unlink()
    for path in aside.iterdir():
        path.rename(new.path / ".willis" / path.name)
    reserve(new, Story(run_id=digest(b"another run")))
    (first, second) = (e.event for e in ledger_events(new.ledger_file) if isinstance(e.event, Reserve))
    assert (first.site, second.site) == ("north", "north-2")
    assert [past.run for past in second.past] == [first.run]


def test_another_node_key_needs_another_call(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = centre(here / "centre")
    site = join(home, hospital(here / "hospital-a"))
    assert willis("site", "--home", site.path, "request", "--new-keys").status == 0
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: WRONG)
    refused = willis("coordinator", "--home", home.path, "approve", "hospital-a.request")
    assert "not the fingerprint" in refused.sentence()
    old = site_named(home, "hospital-a")
    join(home, site)
    new = site_named(home, "hospital-a")
    assert new.signing_key == old.signing_key
    assert Authority(home.ca).revoked == (old.serial,)
    assert {new.node_key, new.tls_key}.isdisjoint({old.node_key, old.tls_key})


def test_a_revoked_hospital_comes_back_only_with_other_keys_and_another_call(here: Path) -> None:
    home = centre(here / "centre")
    site = join(home, hospital(here / "hospital-a"))
    lost = site_named(home, "hospital-a").serial
    done = willis("coordinator", "--home", home.path, "revoke", "hospital-a", "--reason", "laptop stolen")
    assert done.status == 0
    assert "unregisters the node key, for good" in done.said[-1]
    assert not site_named(home, "hospital-a").active
    assert Authority(home.ca).revoked == (lost,)
    listed = willis("coordinator", "--home", home.path, "sites").said[0]
    assert "revoked" in listed
    assert "laptop stolen" in listed

    own = ("coordinator", "--home", home.path, "approve", "hospital-a.request")
    same = willis(*own, "--fingerprint", request_of(site).fingerprint).sentence()
    assert "willis site request --new-keys" in same
    assert willis("site", "--home", site.path, "request", "--new-keys").status == 0
    join(home, site)
    back = site_named(home, "hospital-a")
    assert back.active
    assert back.serial not in Authority(home.ca).revoked
    assert Authority(home.ca).revoked == (lost,)


def test_a_revocation_names_every_certificate_the_hospital_had_and_grows(here: Path) -> None:
    home = centre(here / "centre")
    a, b = (join(home, hospital(here / name)) for name in ("hospital-a", "hospital-b"))
    approve(home, a)
    sites = {site.name: site for site in all_sites(home)}
    for name in ("hospital-a", "hospital-a", "hospital-b"):  # a second time changes nothing
        assert willis("coordinator", "--home", home.path, "revoke", name).status == 0
    every = {serial for site in sites.values() for serial in (*site.earlier, site.serial)}
    assert len(every) == len(Authority(home.ca).revoked) == 3
    assert set(Authority(home.ca).revoked) == every
    assert b.settings.name == "hospital-b"


def test_a_revoked_hospital_is_refused_by_the_front_and_the_others_are_not(here: Path) -> None:
    home = centre(here / "centre")
    sites = [join(home, hospital(here / name)) for name in ("hospital-a", "hospital-b")]
    assert willis("coordinator", "--home", home.path, "revoke", "hospital-b").status == 0
    pair = (home.tls / "server.crt", home.tls / "server.key")
    front = server_context(*pair, home.ca / "ca.crt", home.ca / "crl.pem")
    keys = [client_context(site.ca, (site.keys / "tls.crt", site.keys / "tls.key")) for site in sites]
    refused = [handshake(front, context)[0] for context in keys]
    assert refused[0] == ""
    assert "certificate revoked" in refused[1]


def test_nobody_is_revoked_whom_nobody_knows(here: Path) -> None:
    home = centre(here / "centre")
    said = willis("coordinator", "--home", home.path, "revoke", "hospital-c").sentence()
    assert said == "no hospital hospital-c was approved; there are: none yet"


def test_a_request_is_what_its_file_says(here: Path) -> None:
    site = hospital(here / "hospital-a")
    request = Request.at(Path("hospital-a.request"))
    assert request.name == "hospital-a"
    assert request.time is None
    assert request.signing_key == site.site.identity.public_key


@pytest.mark.parametrize("command", ["init", "approve", "revoke", "sites"])
def test_help_of_the_centre_teaches(command: str) -> None:
    said = " ".join(willis("coordinator", command, "--help").said)
    assert "willis coordinator" in said
