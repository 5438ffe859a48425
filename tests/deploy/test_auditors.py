"""An auditor's certificate opens the audit service, and nothing that hospitals use; it can be taken back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.coordinator.front import front_proxy
from deploy.coordinator.home import CoordinatorHome
from server.audit.remote import ClientFiles, ServiceError, remote
from server.audit.service.archive import Archive
from server.audit.service.serving import AuditServer, Service
from server.audit.service.tls import ServerFiles
from server.ledger.export import export_ledger
from shared.fingerprint import fingerprint
from shared.ledger.checkpoint import parse_checkpoint
from tests.commands import Outcome, willis
from tests.deploy.handshakes import client_context, handshake
from tests.deploy.parties import centre, hospital, join, shown


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CoordinatorHome:
    """A centre with one hospital, h, and one auditor, ann."""
    monkeypatch.chdir(tmp_path)
    made = centre(tmp_path / "centre")
    join(made, hospital(tmp_path / "h"))
    assert approve(made, "ann").status == 0
    return made


def approve(home: CoordinatorHome, name: str, fingerprint: str = "") -> Outcome:
    said = fingerprint or shown(willis("audit", "request", name, "auditing"))
    words = ("auditor", "approve", f"auditing/{name}.csr", "--fingerprint", said)
    return willis("coordinator", "--home", home.path, *words)


def auditor_files(name: str) -> ClientFiles:
    return ClientFiles(Path(f"{name}.crt"), Path("auditing") / f"{name}.key", Path("centre.crt"))


def site_files(home: CoordinatorHome) -> ClientFiles:
    keys = home.path.parent / "h" / "keys"
    return ClientFiles(keys / "tls.crt", keys / "tls.key", Path("centre.crt"))


@contextmanager
def serving(home: CoordinatorHome, *clients: Path) -> Iterator[str]:
    """Serve the federation's ledger, which has no run yet, to the clients of these authorities."""
    ledger = home.federation.open_ledger()
    export_ledger(ledger, home.path / "runs" / "first" / "ledger", home.federation.identity)
    ledger.close()
    files = ServerFiles(
        home.tls / "server.crt", home.tls / "server.key", [folder / "ca.crt" for folder in clients]
    )
    lists = [folder / "crl.pem" for folder in clients]
    server = AuditServer(Service(Archive([home.path]), "127.0.0.1:0", files, lists))
    try:
        yield f"localhost:{server.port}"
    finally:
        server.stop(0)


def entries(host: str, files: ClientFiles) -> int:
    """Return how many entries somebody is told of."""
    with remote(host, files, 0.0) as service:
        return parse_checkpoint(service.checkpoint()[0], "shown").head.size


def front_says(home: CoordinatorHome, files: ClientFiles) -> str:
    """Return why the front refuses somebody; "" where it lets in."""
    client = client_context(files.authority, (files.certificate, files.key))
    return handshake(front_proxy(home).files.context(), client)[0]


def test_an_auditor_reads_the_audit_service_and_nothing_of_the_fleet(home: CoordinatorHome) -> None:
    with serving(home, home.auditors) as host:
        assert entries(host, auditor_files("ann")) == 1
    assert "verify failed" in front_says(home, auditor_files("ann"))
    assert front_says(home, site_files(home)) == ""


def test_a_hospital_reads_it_only_where_its_authority_is_named(home: CoordinatorHome) -> None:
    with serving(home, home.auditors) as host, pytest.raises(ServiceError):
        entries(host, site_files(home))
    with serving(home, home.auditors, home.ca) as host:
        assert entries(host, site_files(home)) == entries(host, auditor_files("ann")) == 1


def test_an_auditors_request_makes_nobody_a_hospital(home: CoordinatorHome) -> None:
    asked = Path("auditing/ann.csr")
    assert "not a site's request" in willis("coordinator", "--home", home.path, "approve", asked).sentence()
    answer = Path("ann.crt")
    assert "not a centre's answer" in willis("site", "--home", home.path.parent / "h", "join", answer).sentence()
    assert "ann" not in "\n".join(willis("coordinator", "--home", home.path, "sites").said)


def test_an_auditor_that_was_shut_out_is_refused_at_once(home: CoordinatorHome) -> None:
    assert approve(home, "ben").status == 0
    assert approve(home, "ann").status == 0  # a second certificate, for the same key
    with serving(home, home.auditors) as host:
        assert entries(host, auditor_files("ann")) == 1
        assert willis("coordinator", "--home", home.path, "auditor", "revoke", "ann").status == 0
        with pytest.raises(ServiceError, match="revoked"):
            entries(host, auditor_files("ann"))
        assert entries(host, auditor_files("ben")) == 1
    listed = willis("coordinator", "--home", home.path, "auditor", "list").said
    assert [line.split()[:2] for line in listed] == [["ann", "revoked"], ["ben", "active"]]
    unknown = willis("coordinator", "--home", home.path, "auditor", "revoke", "carl").sentence()
    assert unknown == "no auditor carl was approved; there are: ann, ben"


def test_a_request_of_somebody_else_is_not_approved(home: CoordinatorHome) -> None:
    other = "0000 " * 7 + "0000"
    assert "not the fingerprint" in approve(home, "ann", other).sentence()
    Path("auditing/eve.csr").write_text("not a request")
    assert "not a request for a certificate" in approve(home, "eve", fingerprint(b"not a request")).sentence()
    assert "not a request's name" in approve_named(home, "Eve").sentence()
    assert not Path("eve.crt").exists()


def approve_named(home: CoordinatorHome, name: str) -> Outcome:
    Path(f"auditing/{name}.csr").write_bytes(Path("auditing/ann.csr").read_bytes())
    return approve(home, name, "0" * 32)


def test_a_request_is_the_same_again_and_its_key_stays_private(home: CoordinatorHome) -> None:
    before = Path("auditing/ann.csr").read_bytes()
    assert willis("audit", "request", "ann", "auditing").status == 0
    assert Path("auditing/ann.csr").read_bytes() == before
    assert Path("auditing/ann.key").stat().st_mode & 0o077 == 0
    assert "a name is of small letters" in willis("audit", "request", "../ann", "auditing").sentence()
