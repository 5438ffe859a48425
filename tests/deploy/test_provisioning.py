"""How hospitals come into a federation, and go: by the commands of the centre and of a hospital."""

import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from client.policy import Policy
from deploy.certificates import certificate_at, certificate_in, check_client, key_at, pem, present
from deploy.coordinator.authority import Authority, ensure_server_certificates
from deploy.coordinator.home import CoordinatorHome
from deploy.coordinator.sites import all_sites, site_named
from deploy.issuing import LOOPBACK_HOSTS
from deploy.requests import Answer, Request
from deploy.site.home import SiteHome
from deploy.site.joined import read_joined
from shared.errors import UsageError
from tests.commands import willis
from tests.deploy.parties import (
    approve,
    centre,
    fingerprint_of,
    hospital,
    join,
    joined_at,
    replace_in,
    request_of,
    shown,
)
from tests.deploy.secrets import private_files, secrets_in, traces

WRONG = "0000 " * 8


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder: requests and answers are written to the one a person is in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder, but for locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and "lock" not in path.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_federation_is_founded_with_its_terms_once(here: Path) -> None:
    home = centre(here / "centre", "--host", "10.0.0.1", "--port", "9443", "--delta", "1e-6", "--overlap", "2")
    assert home.addresses == ("localhost:9443", "10.0.0.1:9443")
    assert (home.federation.terms().delta, home.federation.terms().overlap) == (1e-6, 2)
    before = content(home.path)
    said = willis("coordinator", "--home", home.path, "init", "--name", "b", "--host", "b").sentence()
    assert said == f"{home.settings_file}: exists already; edit it, or name another folder with --home"
    assert content(home.path) == before


def test_the_ca_lasts_ten_years_and_the_centres_certificates_hold_for_its_hosts(here: Path) -> None:
    home = centre(here / "centre", "--host", "10.0.0.1")
    ca = certificate_at(home.ca / "ca.crt")
    assert ca.not_valid_after_utc - present() > timedelta(days=3649)
    for name, hosts in {"server": {"localhost", "10.0.0.1"}, "loopback": {"localhost", "127.0.0.1"}}.items():
        certificate = certificate_at(home.tls / f"{name}.crt")
        certificate.verify_directly_issued_by(ca)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert {str(name.value) for name in names} == hosts


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


def test_a_policy_that_was_written_before_stays(here: Path) -> None:
    (here / "hospital-a").mkdir()
    (here / "hospital-a" / "policy.toml").write_text("max_epsilon = 1.0\n")
    assert hospital(here / "hospital-a").policy.max_epsilon == 1.0


def test_the_fingerprint_is_asked_for_and_never_shown(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, site = centre(here / "centre"), hospital(here / "hospital-a")
    right = request_of(site).fingerprint
    asked: list[str] = []

    def read_aloud(text: str) -> str:
        asked.append(text)
        return right.lower()

    monkeypatch.setattr("click.termui.visible_prompt_func", read_aloud)
    done = willis("coordinator", "--home", home.path, "approve", "hospital-a.request")
    assert done.status == 0
    assert len(asked) == 1
    assert right not in "\n".join([*asked, *done.said, *done.complained])
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: fingerprint_of(home))
    joined = willis("site", "--home", site.path, "join", "hospital-a.answer")
    assert joined.status == 0
    assert fingerprint_of(home) not in "\n".join(joined.said)


def test_another_fingerprint_lets_nobody_in(here: Path) -> None:
    home, site = centre(here / "centre"), hospital(here / "hospital-a")
    refused = willis("coordinator", "--home", home.path, "approve", "hospital-a.request", "--fingerprint", WRONG)
    assert "not the fingerprint of hospital-a's request" in refused.sentence()
    assert all_sites(home) == []
    assert not Path("hospital-a.answer").exists()
    approve(home, site)
    before = content(site.path)
    refused = willis("site", "--home", site.path, "join", "hospital-a.answer", "--fingerprint", WRONG)
    assert "not the fingerprint of the centre" in refused.sentence()
    assert content(site.path) == before


def test_what_is_installed_fits_together(here: Path) -> None:
    home = centre(here / "centre", "--delta", "1e-6")
    site = join(home, hospital(here / "hospital-a"))
    joined, known = read_joined(site), site_named(home, "hospital-a")
    assert (joined.coordinator, joined.name) == ("localhost:8443", "stroke-net")
    assert (joined.delta, joined.overlap) == (1e-6, 1)
    assert joined.signing_key == home.federation.identity.public_key
    assert known.active
    assert known.signing_key == site.site.identity.public_key
    assert known.node_key == (site.keys / "node.pub").read_text().strip()
    certificate = certificate_at(site.keys / "tls.crt")
    assert certificate.serial_number == known.serial
    check_client(certificate, certificate_at(site.ca), present())
    assert site.settings.coordinator == "localhost:8443"


def test_a_hospital_is_warned_of_a_delta_that_its_policy_refuses(here: Path) -> None:
    home, site = centre(here / "centre", "--delta", "1e-6"), hospital(here / "hospital-a")
    words = ("join", approve(home, site), "--fingerprint", fingerprint_of(home))
    done = willis("site", "--home", site.path, *words)
    (warning,) = [line for line in done.said if line.startswith("warning")]
    assert "delta is 1e-06 and policy.toml says 1e-05" in warning


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


def test_an_expired_certificate_is_renewed_by_files(here: Path) -> None:
    home, site = centre(here / "centre"), hospital(here / "hospital-a")
    joined_at(home, site, present() - timedelta(days=100))
    assert "expired" in "\n".join(willis("coordinator", "--home", home.path, "sites").said)
    said = willis("site", "--home", site.path, "renew").sentence()
    assert "expired on" in said
    assert "renew by files: `willis site request`, have the centre approve it, `willis site join`" in said
    assert willis("coordinator", "--home", home.path, "approve", "hospital-a.request").status == 0
    assert willis("site", "--home", site.path, "join", "hospital-a.answer").status == 0
    assert certificate_at(site.keys / "tls.crt").not_valid_after_utc > present()


def test_an_expired_answer_is_not_installed(here: Path) -> None:
    home, site = centre(here / "centre"), hospital(here / "hospital-a")
    long_ago = present() - timedelta(days=100)
    joined_at(home, site, long_ago)
    path = approve(home, site)
    fields = Answer.at(path).model_copy(update={"certificate": (site.keys / "tls.crt").read_text()})
    path.write_bytes(fields.signed(home.federation.identity).file())
    assert "set the clock, or ask for another" in willis("site", "--home", site.path, "join", path).sentence()


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
    assert {new.node_key, new.tls_key}.isdisjoint({old.node_key, old.tls_key})


def test_a_revoked_hospital_comes_back_only_with_other_keys_and_another_call(here: Path) -> None:
    home = centre(here / "centre")
    site = join(home, hospital(here / "hospital-a"))
    lost = site_named(home, "hospital-a").serial
    done = willis("coordinator", "--home", home.path, "revoke", "hospital-a", "--reason", "laptop stolen")
    assert done.status == 0
    assert "unregisters the node key" in done.said[-1]
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


def test_nobody_is_revoked_whom_nobody_knows(here: Path) -> None:
    home = centre(here / "centre")
    said = willis("coordinator", "--home", home.path, "revoke", "hospital-c").sentence()
    assert said == "no hospital hospital-c was approved; there are: none yet"


def test_an_answer_is_for_one_hospital_and_its_keys(here: Path) -> None:
    home = centre(here / "centre")
    a, b = hospital(here / "hospital-a"), hospital(here / "hospital-b")
    for_a = approve(home, a)
    said = willis("site", "--home", b.path, "join", for_a, "--fingerprint", fingerprint_of(home)).sentence()
    assert "the answer is for hospital-a, and this is hospital-b" in said
    willis("site", "--home", a.path, "request", "--new-keys")
    said = willis("site", "--home", a.path, "join", for_a, "--fingerprint", fingerprint_of(home)).sentence()
    assert "for another key than keys/tls.key" in said
    assert not a.joined.exists()


def test_a_certificate_of_another_ca_is_not_installed(here: Path) -> None:
    home, other = centre(here / "centre"), centre(here / "other")
    site = hospital(here / "hospital-a")
    path = approve(home, site)
    forged = Answer.at(path).model_copy(update={"ca": (other.ca / "ca.crt").read_text()})
    path.write_bytes(forged.signed(home.federation.identity).file())
    said = willis("site", "--home", site.path, "join", path, "--fingerprint", fingerprint_of(home)).sentence()
    assert "does not come from the CA beside it" in said


def test_another_centre_is_joined_only_by_leaving_the_first_by_name(here: Path) -> None:
    home, other = centre(here / "centre"), centre(here / "other", "--port", "9000")
    site = join(home, hospital(here / "hospital-a"))
    path = approve(other, site)
    words = ("site", "--home", site.path, "join", path, "--fingerprint", fingerprint_of(other))
    assert "add --leave stroke-net" in willis(*words).sentence()
    assert "add --leave stroke-net" in willis(*words, "--leave", "another").sentence()
    assert read_joined(site).signing_key == home.federation.identity.public_key
    assert willis(*words, "--leave", "stroke-net").status == 0
    assert read_joined(site).signing_key == other.federation.identity.public_key
    assert SiteHome(site.path).settings.coordinator == "localhost:9000"


def test_the_centres_address_follows_it_unless_a_person_wrote_another(here: Path) -> None:
    home = centre(here / "centre")
    site = join(home, hospital(here / "hospital-a"))
    replace_in(home.settings_file, "port = 8443", "port = 9001")
    assert join(CoordinatorHome(home.path), site).settings.coordinator == "localhost:9001"
    replace_in(site.settings_file, "localhost:9001", "relay.hospital:443")
    replace_in(home.settings_file, "port = 9001", "port = 9002")
    assert join(CoordinatorHome(home.path), SiteHome(site.path)).settings.coordinator == "relay.hospital:443"
    assert read_joined(site).coordinator == "localhost:9002"


def test_server_certificates_that_do_are_left_alone(here: Path) -> None:
    home = centre(here / "centre")
    before = content(home.path)
    assert ensure_server_certificates(home) == []
    assert content(home.path) == before


def test_other_hosts_need_another_server_certificate_for_the_same_key(here: Path) -> None:
    home = centre(here / "centre")
    key = (home.tls / "server.key").read_bytes()
    replace_in(home.settings_file, '["localhost"]', '["localhost", "10.0.0.1"]')
    home = CoordinatorHome(home.path)
    assert ensure_server_certificates(home) == [home.tls / "server.crt"]
    assert ensure_server_certificates(home) == []
    assert (home.tls / "server.key").read_bytes() == key


UNFIT = {  # why a server certificate does not do -> CA, key file and age in days
    "past half of its life": ("centre", "loopback.key", 46),
    "of another key": ("centre", "server.key", 0),
    "of another CA": ("other", "loopback.key", 0),
}


@pytest.mark.parametrize("why", UNFIT)
def test_a_server_certificate_that_does_not_do_is_issued_again(why: str, here: Path) -> None:
    homes = {name: centre(here / name) for name in ("centre", "other")}
    home = homes["centre"]
    ca, key_file, days = UNFIT[why]
    key, then = key_at(home.tls / key_file).public_key(), present() - timedelta(days=days)
    old = Authority(homes[ca].ca).issuer.server_certificate("loopback", key, LOOPBACK_HOSTS, then, 90)
    (home.tls / "loopback.crt").write_text(pem(old))
    assert ensure_server_certificates(home) == [home.tls / "loopback.crt"]
    assert ensure_server_certificates(home) == []


def test_a_lost_ca_or_list_of_revocations_is_not_made_anew(here: Path) -> None:
    home, site = centre(here / "centre"), hospital(here / "hospital-a")
    approve(home, site)
    for name, words in {"ca.key": ("approve", "hospital-a.request"), "crl.pem": ("revoke", "hospital-a")}.items():
        kept = (home.ca / name).read_bytes()
        (home.ca / name).unlink()
        said = willis("coordinator", "--home", home.path, *words).sentence()
        assert f"{home.ca / name}: missing" in said
        assert "restore" in said
        (home.ca / name).write_bytes(kept)


def test_private_keys_are_readable_by_their_owner_alone_and_never_travel(here: Path) -> None:
    home = centre(here / "centre")
    sites = [join(home, hospital(here / name)) for name in ("hospital-a", "hospital-b")]
    kept = {path.name: private_files(path) for path in (home.path, *(site.path for site in sites))}
    assert sorted(kept["centre"]) == ["ca.key", "coordinator.key", "loopback.key", "server.key"]
    assert sorted(kept["hospital-a"]) == ["local.key", "node", "site.key", "tls.key"] == sorted(kept["hospital-b"])
    files = [path for party in kept.values() for path in party.values()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}

    secrets = [secret for path in files for secret in secrets_in(path)]
    assert len(secrets) == 12
    assert all(traces(path.read_bytes(), secrets) for path in files)  # that a trace would be found
    travel = sorted(here.glob("*.request")) + sorted(here.glob("*.answer"))
    assert len(travel) == 4
    for path in travel:
        assert traces(path.read_bytes(), secrets) == []
        assert b"PRIVATE KEY" not in path.read_bytes()


def test_what_was_changed_on_the_way_is_said_in_one_line(here: Path) -> None:
    home, site = centre(here / "centre"), hospital(here / "hospital-a")
    request = Path("hospital-a.request")
    whole = request.read_bytes()
    request.write_bytes(whole.replace(b"hospital-a", b"hospital-b", 1))
    said = willis("coordinator", "--home", home.path, "approve", request).sentence()
    assert said == f"{request}: was changed since it was signed; have it sent again, as a file rather than as text"
    request.write_bytes(whole)
    answer = approve(home, site)
    fields = json.loads(answer.read_bytes()) | {"overlap": 3}
    answer.write_text(json.dumps(fields))
    said = willis("site", "--home", site.path, "join", answer).sentence()
    assert said == f"{answer}: was changed since it was signed; have it sent again, as a file rather than as text"


def test_a_request_is_what_its_file_says(here: Path) -> None:
    site = hospital(here / "hospital-a")
    request = Request.at(Path("hospital-a.request"))
    assert request.name == "hospital-a"
    assert request.time is None
    assert request.signing_key == site.site.identity.public_key


@pytest.mark.parametrize("damage", ["", "{}", "[1]"])
def test_damaged_registers_are_named(damage: str, here: Path) -> None:
    home = centre(here / "centre")
    site = join(home, hospital(here / "hospital-a"))
    (home.sites / "hospital-a.json").write_text(damage)
    said = willis("coordinator", "--home", home.path, "sites").sentence()
    assert f"{home.sites / 'hospital-a.json'}: damaged; restore it" in said
    site.joined.write_text(damage)
    with pytest.raises(UsageError, match=r"coordinator\.json: damaged; join again"):
        read_joined(site)
    site.joined.unlink()
    with pytest.raises(UsageError, match=r"coordinator\.json: missing: no centre was joined"):
        read_joined(site)


@pytest.mark.parametrize("command", ["init", "approve", "revoke", "sites"])
def test_help_of_the_centre_teaches(command: str) -> None:
    said = " ".join(willis("coordinator", command, "--help").said)
    assert "willis coordinator" in said


def test_the_answer_holds_the_certificate_for_the_key_of_the_request(here: Path) -> None:
    home, site = centre(here / "centre"), hospital(here / "hospital-a")
    answer = Answer.at(approve(home, site))
    certificate = certificate_in(answer.certificate, "it")
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [use.dotted_string for use in usage] == ["1.3.6.1.5.5.7.3.2"]  # clientAuth
