"""The service and its client as real processes: the version of TLS, killed on either side, stopped with grace."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from server.dataset.publication import publish
from server.run.folder import RunFolder
from shared.imaging.scan import Role, Scan
from tests.server.audit_service.serving import Party
from tests.server.audit_service.test_fetch import files_of, words
from tests.server.ledgers import Story, store_at

ROOT = Path(__file__).resolve().parents[3]
COMMAND = (sys.executable, "-c", "from server.audit.command import audit; audit()")
MB = 10**6


def start(*arguments: object) -> "subprocess.Popen[str]":
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@contextmanager
def served(party: Party, run: Path, port: int = 0) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Yield a process that serves, and its port."""
    files = party.server()
    options = ("--certificate", files.certificate, "--key", files.key, "--clients", files.clients[0])
    process = start("serve", run, "--listen", f"127.0.0.1:{port}", *options)
    try:
        assert process.stdout is not None
        found = re.search(r"port (\d+)", process.stdout.readline())
        assert found
        yield process, int(found[1])
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_only_tls_1_3_is_spoken(party: Party, untouched: Path) -> None:
    spoken = {}
    with served(party, untouched) as (_, port):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context(cafile=party.authority.crt)
            context.minimum_version = context.maximum_version = version
            context.set_alpn_protocols(["h2"])
            context.load_cert_chain(party.client().certificate, party.client().key)
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as raw:
                spoken[version] = context.wrap_socket(raw, server_hostname="localhost").version()
    assert spoken == {ssl.TLSVersion.TLSv1_3: "TLSv1.3"}


class Wire:
    """A way between client and service that counts what comes back, and lets somebody act after so much of it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.came = 0
        self.after = (0, threading.Event())
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"localhost:{self._listener.getsockname()[1]}"

    def wait_for(self, more: int, seconds: float = 60) -> None:
        """Wait until so many more bytes came back; the wire is then held until `go_on`."""
        event = threading.Event()
        self._go, self.after = threading.Event(), (self.came + more, event)
        assert event.wait(seconds)

    def go_on(self) -> None:
        self._go.set()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                with suppress(OSError):
                    far = socket.create_connection(("127.0.0.1", self.port))
                    threading.Thread(target=self._pass, args=(near, far, False), daemon=True).start()
                    threading.Thread(target=self._pass, args=(far, near, True), daemon=True).start()
                    continue
                near.close()

    def _pass(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        with suppress(OSError), source, sink:
            while data := source.recv(65536):
                if back:
                    self.came += len(data)
                    limit, event = self.after
                    if limit and self.came >= limit and not event.is_set():
                        event.set()
                        self._go.wait(60)
                sink.sendall(data)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose data set has three files of about 4 MB that cannot be compressed."""
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(3)
    noise = rng.random((3, 128, 128, 64), dtype=np.float32)
    scans = (
        Scan({Role.ANGIO: image, Role.VESSELS: (image > 0.9).astype(np.float32)}, np.eye(4)) for image in noise
    )
    store = store_at(folder, Story().events())
    publish(RunFolder(folder), folder / "dataset", scans, store=store)
    store.close()
    return folder


@pytest.mark.slow
def test_a_download_goes_on_after_either_side_was_killed(party: Party, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "mirror"
    total = sum(map(len, files_of(large / "dataset").values()))
    with served(party, large) as (first, port):
        wire = Wire(port)
        fetch = ("fetch", *words(party, wire.address, out), "--datasets", "--patience", "60")
        client = start(*fetch)
        wire.wait_for(2 * MB)
        while sum(path.stat().st_size for path in (out / "partial").iterdir()) < MB // 2:
            time.sleep(0.01)
        client.send_signal(signal.SIGKILL)  # in the middle of the first large file
        client.wait()
        wire.go_on()
        client = start(*fetch)
        wire.wait_for(2 * MB)
        first.send_signal(signal.SIGKILL)
        first.wait()
        wire.go_on()
        with served(party, large) as (_, another):
            wire.port = another
            assert client.wait(60) == 0
            client.wait()
    wire.close()
    (dataset,) = (out / "datasets").iterdir()
    assert files_of(dataset) == files_of(large / "dataset")
    assert wire.came < total + 5 * MB  # what was on its way twice, seals, and TLS


@pytest.mark.slow
def test_a_service_that_is_asked_to_stop_stops(party: Party, untouched: Path) -> None:
    with served(party, untouched) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
