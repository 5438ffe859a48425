"""Certificates renewed over the network: for the same keys, while they hold, by whom the centre knows."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.coordinator import approval
from deploy.coordinator.authority import ensure_server_certificates
from deploy.coordinator.home import CoordinatorHome
from deploy.coordinator.renewal import FRESH, answer
from deploy.coordinator.sites import site_named
from deploy.requests import MOST_BYTES, Answer
from deploy.site import renewing
from deploy.site.home import SiteHome
from deploy.site.joined import read_joined
from deploy.site.keys import make_request
from deploy.site.renewing import renew, renew_if_due
from shared.certificates import certificate_at, certificate_in, present
from shared.errors import ProtocolError, UsageError
from shared.identity import Identity
from tests.commands import willis
from tests.deploy.parties import centre, hospital, join, joined_at, replace_in
from tests.deploy.secrets import private_files, secrets_in, traces
from tests.deploy.serving import post, proxy, renewals

NOW = present()
DUE = NOW - timedelta(days=46)  # when a certificate was issued that is past half of its life now


@pytest.fixture
def home(here: Path, free_port: int) -> CoordinatorHome:
    return centre(here / "centre", "--port", free_port)


@pytest.fixture
def site(home: CoordinatorHome, tmp_path: Path) -> SiteHome:
    """A hospital whose certificate is due."""
    return joined_at(home, hospital(tmp_path / "hospital-a"), DUE)


def fresh(site: SiteHome, late: timedelta = timedelta()) -> bytes:
    """Return a request for renewal that was made a while ago."""
    return make_request(site, time=int((present() - late).timestamp() * 1000)).file()


def serial(site: SiteHome) -> int:
    return certificate_at(site.keys / "tls.crt").serial_number


def test_a_certificate_is_renewed_when_it_is_due_and_not_before(home: CoordinatorHome, site: SiteHome) -> None:
    first, key = serial(site), (site.keys / "tls.key").read_bytes()
    with renewals(home):
        assert renew_if_due(site)
        second = serial(site)
        assert not renew_if_due(site)
        assert not renew(site)
    assert serial(site) == second != first
    known = site_named(home, "hospital-a")
    assert (known.serial, known.earlier) == (second, (first,))
    assert (site.keys / "tls.key").read_bytes() == key


def test_before_it_is_due_nobody_is_asked(home: CoordinatorHome, tmp_path: Path) -> None:
    assert not renew_if_due(join(home, hospital(tmp_path / "hospital-b")))  # nothing is served


def test_the_command_says_what_it_did(home: CoordinatorHome, site: SiteHome) -> None:
    until = f"{NOW + timedelta(days=90):%Y-%m-%d}"
    with renewals(home):
        for word in ("renewed", "not due"):
            (line,) = willis("site", "--home", site.path, "renew").said
            assert line.startswith(word)
            assert line.endswith(f"until {until}")


def test_an_answer_that_was_lost_is_sent_again(home: CoordinatorHome, site: SiteHome) -> None:
    lost = answer(home, fresh(site), NOW)
    assert answer(home, fresh(site), NOW) == lost
    assert certificate_in(lost.certificate, "it").serial_number == site_named(home, "hospital-a").serial


def test_a_crash_before_the_certificate_was_kept_issues_another(home: CoordinatorHome, site: SiteHome) -> None:
    path = home.sites / "hospital-a.crt"
    before = path.read_bytes()
    lost = certificate_in(answer(home, fresh(site), NOW).certificate, "it").serial_number
    path.write_bytes(before)
    again = certificate_in(answer(home, fresh(site), NOW).certificate, "it").serial_number
    known = site_named(home, "hospital-a")
    assert known.serial == again != lost
    assert lost in known.earlier


def test_through_the_hospitals_proxy(home: CoordinatorHome, site: SiteHome) -> None:
    with proxy() as (port, asked), renewals(home):
        replace_in(site.settings_file, 'proxy = ""', f'proxy = "http://127.0.0.1:{port}"')
        assert renew_if_due(SiteHome(site.path))
    assert asked == [f"CONNECT localhost:{home.settings.port}"]


def test_the_environments_proxy_is_not_taken(
    home: CoordinatorHome, site: SiteHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # where nobody is
    monkeypatch.delenv("NO_PROXY", raising=False)
    with renewals(home):
        assert renew_if_due(site)


def test_a_centre_that_moved_is_followed(home: CoordinatorHome, site: SiteHome) -> None:
    port = home.settings.port
    for hosts, used in {'["127.0.0.1", "localhost"]': "localhost", '["127.0.0.1"]': "127.0.0.1"}.items():
        lines = home.settings_file.read_text().splitlines()
        (known,) = [line for line in lines if line.startswith("hosts = ")]
        replace_in(home.settings_file, known, f"hosts = {hosts}")
        moved = CoordinatorHome(home.path)
        if used == "localhost":  # reached by the old name for the last time
            ensure_server_certificates(moved)
        with renewals(moved):
            renew(site)
        assert SiteHome(site.path).settings.coordinator == f"{used}:{port}"
        assert read_joined(site).coordinator == f"{used}:{port}"


def test_where_nobody_answers_the_way_by_files_is_said(home: CoordinatorHome, site: SiteHome) -> None:
    with pytest.raises(UsageError, match=r"localhost:\d+: the certificate could not be renewed .*renew by files"):
        renew_if_due(site)
    replace_in(site.settings_file, f"localhost:{home.settings.port}", "localhost:99999")
    with pytest.raises(UsageError, match=r"localhost:99999: the certificate could not be renewed"):
        renew_if_due(site)


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "node", "coordinator-ca.crt"])
def test_a_lost_file_is_named_with_the_way_by_files(name: str, home: CoordinatorHome, site: SiteHome) -> None:
    (site.keys / name).unlink()
    with pytest.raises(UsageError, match=f"{name}: missing; renew by files"):
        renew_if_due(site)
    assert not (site.keys / name).exists()


def test_a_hospital_that_expired_or_was_revoked_is_told(
    home: CoordinatorHome, site: SiteHome, tmp_path: Path
) -> None:
    old = joined_at(home, hospital(tmp_path / "hospital-b"), NOW - timedelta(days=91))
    approval.revoke(home, "hospital-a", "", NOW)
    with renewals(home):
        with pytest.raises(UsageError, match=r"tls\.crt: expired on .*renew by files"):
            renew_if_due(old)
        with pytest.raises(ProtocolError, match=r"refused to renew \(403: hospital-a: was revoked.*by files"):
            renew_if_due(site)


def test_only_a_client_with_a_certificate_reaches_the_centre(home: CoordinatorHome, site: SiteHome) -> None:
    other = centre(home.path.parent / "other")
    (site.keys / "coordinator-ca.crt").write_bytes((other.ca / "ca.crt").read_bytes())
    with renewals(home), pytest.raises(UsageError, match="CERTIFICATE_VERIFY_FAILED"):
        renew_if_due(site)


def test_an_answer_of_another_centre_is_not_installed(
    home: CoordinatorHome, site: SiteHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Identity("coordinator", Ed25519PrivateKey.generate())
    right = answer(home, fresh(site), NOW)
    forged = right.model_copy(update={"signing_key": other.public_key}).signed(other)
    monkeypatch.setattr(renewing, "_ask", lambda *_: forged.file())
    before = serial(site)
    with pytest.raises(ProtocolError, match="signed by another centre"):
        renew_if_due(site)
    monkeypatch.setattr(renewing, "_ask", lambda *_: right.file()[:-2])
    with pytest.raises(ProtocolError, match="not a centre's answer"):
        renew_if_due(site)
    assert serial(site) == before


def test_the_service_answers_what_was_asked_now_and_was_not_changed(home: CoordinatorHome, site: SiteHome) -> None:
    whole = fresh(site)
    good = post(home, whole)
    assert good.status_code == 200
    assert Answer.read(good.content, "it").name == "hospital-a"
    for body, why in {
        fresh(site, FRESH + timedelta(minutes=1)): "set the hospital's clock",
        fresh(site, -FRESH - timedelta(minutes=1)): "set the hospital's clock",
        make_request(site).file(): "set the hospital's clock",  # that of a file, without a time
        whole.replace(b"hospital-a", b"hospital-b"): "changed since it was signed",
        b"": "not a site's request",
    }.items():
        refused = post(home, body)
        assert refused.status_code == 403
        assert why in refused.text
    assert post(home, b"x" * (MOST_BYTES + 1)).status_code == 413


def test_a_replayed_request_gets_what_was_sent_before(home: CoordinatorHome, site: SiteHome) -> None:
    body = fresh(site)
    first = post(home, body)
    known = site_named(home, "hospital-a")
    assert post(home, body).content == first.content
    assert site_named(home, "hospital-a") == known


def test_over_the_network_no_key_changes(home: CoordinatorHome, site: SiteHome) -> None:
    known = site_named(home, "hospital-a")
    for name in ("node", "tls.key"):
        kept = (site.keys / name).read_bytes()
        (site.keys / name).unlink()
        refused = post(home, fresh(site))
        assert refused.status_code == 403
        assert "not known here by these keys" in refused.text
        (site.keys / name).write_bytes(kept)
    assert site_named(home, "hospital-a") == known


def test_strangers_are_refused(home: CoordinatorHome, site: SiteHome, tmp_path: Path) -> None:
    stranger = hospital(tmp_path / "hospital-c")
    assert "not known here" in post(home, fresh(stranger)).text
    namesake = hospital(tmp_path / "elsewhere" / "hospital-a")
    assert post(home, fresh(namesake)).status_code == 403


def test_damage_at_the_centre_is_not_told_to_hospitals(
    home: CoordinatorHome, site: SiteHome, caplog: pytest.LogCaptureFixture
) -> None:
    (home.ca / "ca.key").unlink()
    refused = post(home, fresh(site))
    assert (refused.status_code, refused.text) == (500, "the centre cannot renew now")
    assert f"{home.ca / 'ca.key'}: missing" in caplog.text


def test_no_private_key_goes_over_the_network(home: CoordinatorHome, site: SiteHome) -> None:
    files = [*private_files(home.path).values(), *private_files(site.path).values()]
    secrets = [secret for path in files for secret in secrets_in(path)]
    assert len(secrets) == 8
    body = fresh(site)
    assert traces(body + post(home, body).content, secrets) == []
