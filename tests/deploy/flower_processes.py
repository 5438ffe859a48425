"""Flower's own processes over TLS on loopback: a SuperLink, and hospitals behind our guard."""

import datetime
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy import flower
from deploy.settings import write_settings
from deploy.site.home import SiteHome, SiteSettings
from deploy.site.joined import Joined

SIGNING_KEY = "ab" * 32
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as found:
        found.bind((flower.LOOPBACK, 0))
        return int(found.getsockname()[1])


def write_certificate(certificate: Path, key: Path) -> None:
    """Make a certificate for 127.0.0.1, signed by itself."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(flower.LOOPBACK))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(pem.Encoding.PEM))
    key.write_bytes(private.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))


def until(true: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.2)


@dataclass
class Processes:
    """Started here, and ended here by their process groups."""

    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        if process.poll() is None:
            process.kill()
        process.wait()

    def end(self) -> None:
        for process in self.running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Centre:
    """A SuperLink and its SuperExec."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        folder.mkdir()
        self.home, self.port = folder / "flower", free_port()
        self.certificate, self.key = folder / "centre.crt", folder / "centre.key"
        write_certificate(self.certificate, self.key)
        flower.write_connection(self.home, port=self.port, root_certificates=self.certificate)
        environment = flower.environment(self.home) | {"PYTHONPATH": str(ROOT)}
        command = flower.superlink_command(
            self.home, port=self.port, certificate=self.certificate, key=self.key, ca=self.certificate
        )
        processes.start("superlink", command, environment)
        until(lambda: _answers(self.port), "SuperLink")
        superexec = flower.superexec_command(
            self.home, port=self.port, root_certificates=self.certificate, parent=os.getpid()
        )
        processes.start("superexec-centre", superexec, environment)

    def status(self, run: int) -> str:
        (found,) = [r for r in flower.runs(self.home) if r.id == run]
        return found.status

    def database(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.home.glob("superlink.db*")))


class Hospital:
    """A guard and its SuperExec."""

    def __init__(self, folder: Path, centre: Centre, processes: Processes, name: str = "a") -> None:
        self.home = SiteHome(folder)
        self.name, self._processes = name, processes
        self.home.keys.mkdir(parents=True)
        settings = SiteSettings(
            name=name,
            cohort=folder / "images of \"a\" 'patient'",
            sidecar_port=centre.port,
            supernode_port=free_port(),
            metrics_port=free_port(),
            threads=1,
        )
        write_settings(self.home.settings_file, settings)
        joined = Joined(coordinator="c:1", ca="", signing_key=SIGNING_KEY, delta=1e-5, overlap=1, name="net")
        self.home.joined.write_text(joined.model_dump_json())
        # The SuperNode meets a sidecar with this certificate; here the SuperLink stands in its place.
        shutil.copy(centre.certificate, self.home.keys / "local.crt")
        shutil.copy(centre.key, self.home.keys / "local.key")
        node = ec.generate_private_key(ec.SECP384R1())
        (self.home.keys / "node").write_bytes(
            node.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.OpenSSH, pem.NoEncryption())
        )
        line = node.public_key().public_bytes(pem.Encoding.OpenSSH, pem.PublicFormat.OpenSSH).decode()
        flower.register(centre.home, line, name)

    def start(self) -> None:
        self.start_guard()
        superexec = flower.superexec_command(
            self.home.flower,
            port=self.home.settings.supernode_port,
            root_certificates=self.home.keys / "local.crt",
            parent=os.getpid(),
        )
        self._processes.start(f"superexec-{self.name}", superexec, self._environment())

    def start_guard(self) -> None:
        command = [sys.executable, "-m", "deploy.site.guard", "--home", str(self.home.path)]
        self._processes.start(f"guard-{self.name}", command, self._environment())
        until(lambda: _answers(self.home.settings.supernode_port), "guard")

    def kill_guard(self) -> None:
        self._processes.kill(f"guard-{self.name}")

    def app_process(self) -> int | None:
        """Return the process id of the app that runs, if one does."""
        mine = f"127.0.0.1:{self.home.settings.supernode_port}"
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(w.endswith(b"flwr-clientapp") for w in words) and mine.encode() in words:
                return int(folder.name)
        return None

    def _environment(self) -> dict[str, str]:
        return flower.environment(self.home.flower) | {"PYTHONPATH": str(ROOT)}


@contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    started = Processes(folder)
    try:
        yield started
    finally:
        started.end()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((flower.LOOPBACK, port)) == 0
