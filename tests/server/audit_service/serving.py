"""A published run, and an audit service of it over TLS on loopback."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc

from server.audit.remote import ClientFiles, Remote
from server.audit.service.archive import Archive
from server.audit.service.limits import Limits
from server.audit.service.serving import AuditServer, Service
from server.audit.service.tls import ServerFiles
from server.dataset.publication import publish
from server.ledger.export import export_ledger
from server.run.folder import RunFolder
from shared.ledger.events import Event
from tests.deploy.certificates_made import CLIENT, SERVER, Authority
from tests.server.ledgers import COORDINATOR, Story, signed_all, store_at
from tests.server.test_publication import scans

PLENTY = Limits(per_minute=100_000, at_once=100)


def published(folder: Path, story: Story | None = None) -> Path:
    """Return the folder of a run with export, signed report and data set."""
    store = store_at(folder, (story or Story()).events())
    publish(RunFolder(folder), folder / "dataset", scans(), store=store)
    store.close()
    return folder


def append(folder: Path, events: Sequence[Event]) -> None:
    """Append to a run's ledger and export it, as a live coordinator does."""
    run = RunFolder(folder)
    store = run.home.open_ledger()
    for entry in signed_all(events):
        store.append(entry)
    export_ledger(store, run.ledger, COORDINATOR)
    store.close()


@dataclass
class Party:
    """The authority, and files by which its server and clients know each other."""

    folder: Path

    def __post_init__(self) -> None:
        self.authority = Authority(self.folder)
        self.authority.issue(self.folder, "server", SERVER)

    def client(self, name: str = "auditor", valid: timedelta = timedelta(days=1)) -> ClientFiles:
        """Return the files of a client, made when first asked for."""
        if not (self.folder / f"{name}.crt").exists():
            self.authority.issue(self.folder, name, CLIENT, valid=valid)
        return ClientFiles(self.folder / f"{name}.crt", self.folder / f"{name}.key", self.authority.crt)

    def server(self) -> ServerFiles:
        """Return the files of the service."""
        return ServerFiles(self.folder / "server.crt", self.folder / "server.key", [self.authority.crt])

    @contextmanager
    def serving(
        self, *places: Path, limits: Limits = PLENTY, datasets: Sequence[Path] = (), listen: str = "127.0.0.1:0"
    ) -> Iterator[str]:
        """Serve; yield the address."""
        archive = Archive(places, datasets)
        server = AuditServer(Service(archive, listen, self.server(), [self.authority.crl], limits))
        try:
            yield f"localhost:{server.port}"
        finally:
            server.stop(0)

    @contextmanager
    def remote(self, host: str, name: str = "auditor", patience: float = 0.0) -> Iterator[Remote]:
        """Yield the service at `host`."""
        service = Remote(host, self.client(name), patience)
        try:
            yield service
        finally:
            service.close()

    @contextmanager
    def channel(self, host: str, name: str = "auditor") -> Iterator[grpc.Channel]:
        """Yield a bare channel to the service at `host`."""
        with grpc.secure_channel(host, self.client(name).credentials()) as channel:
            yield channel
