"""The centre's own certificates, and what may not be lost of its CA."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from deploy.coordinator.authority import Authority, ensure_server_certificates
from deploy.coordinator.home import CoordinatorHome
from deploy.issuing import LOOPBACK_HOSTS
from shared.certificates import certificate_at, key_at, pem, present
from tests.commands import willis
from tests.deploy.parties import (
    approve,
    centre,
    content,
    hospital,
    replace_in,
)


def test_the_ca_lasts_ten_years_and_the_centres_certificates_hold_for_its_hosts(here: Path) -> None:
    home = centre(here / "centre", "--host", "10.0.0.1")
    ca = certificate_at(home.ca / "ca.crt")
    assert ca.not_valid_after_utc - present() > timedelta(days=3649)
    for name, hosts in {"server": {"localhost", "10.0.0.1"}, "loopback": {"localhost", "127.0.0.1"}}.items():
        certificate = certificate_at(home.tls / f"{name}.crt")
        certificate.verify_directly_issued_by(ca)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert {str(name.value) for name in names} == hosts


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
