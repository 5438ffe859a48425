"""How a hospital joins a centre: by an answer that is its own, and a fingerprint that was read to it."""

import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from deploy.coordinator.home import CoordinatorHome
from deploy.coordinator.sites import all_sites, site_named
from deploy.requests import Answer
from deploy.site.home import SiteHome
from deploy.site.joined import read_joined
from shared.certificates import certificate_at, certificate_in, check_client, present
from shared.errors import UsageError
from tests.commands import willis
from tests.deploy.parties import (
    approve,
    centre,
    content,
    fingerprint_of,
    hospital,
    join,
    joined_at,
    replace_in,
    request_of,
)
from tests.deploy.secrets import private_files, secrets_in, traces

WRONG = "0000 " * 8


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


@pytest.mark.parametrize("damage", ["", "{}", "[1]"])
def test_damaged_registers_are_named(damage: str, here: Path) -> None:
    home = centre(here / "centre")
    site = join(home, hospital(here / "hospital-a"))
    (home.sites / "hospital-a.json").write_text(damage)
    said = willis("coordinator", "--home", home.path, "sites").sentence()
    assert f"{home.sites / 'hospital-a.json'}: damaged; restore it" in said
    site.joined.write_text(damage)
    with pytest.raises(UsageError, match=r"coordinator\.json: damaged; restore it .* or remove it and join again"):
        read_joined(site)
    site.joined.unlink()
    with pytest.raises(UsageError, match=r"coordinator\.json: missing: no centre was joined"):
        read_joined(site)


def test_the_answer_holds_the_certificate_for_the_key_of_the_request(here: Path) -> None:
    home, site = centre(here / "centre"), hospital(here / "hospital-a")
    answer = Answer.at(approve(home, site))
    certificate = certificate_in(answer.certificate, "it")
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [use.dotted_string for use in usage] == ["1.3.6.1.5.5.7.3.2"]  # clientAuth
