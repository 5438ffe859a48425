"""The coordinating centre's folder: settings a person edits, keys, the federation's ledger, runs."""

import ipaddress
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from deploy.settings import NAME, Settings, read_settings
from server.ledger.home import Home

if TYPE_CHECKING:  # brings torch, which the front and `up` do without
    from server.run.folder import RunFolder

SETTINGS_FILE = "coordinator.toml"


def _check_host(host: str) -> str:
    """Let through what may stand in a certificate: a DNS name (RFC 1123) or an IP address, without a port."""
    try:
        if "%" in host:
            raise ValueError("an address of one network card, which nobody else can use")
        return str(ipaddress.ip_address(host))
    except ValueError as err:
        if len(host) < 254 and re.fullmatch(r"([A-Za-z0-9-]{1,63}\.)*[A-Za-z][A-Za-z0-9-]{0,62}", host):
            return host
        raise ValueError(f"{host!r} is neither a DNS name nor an IP address (without a port)") from err


Host = Annotated[str, AfterValidator(_check_host)]


class CoordinatorSettings(Settings):
    """What `coordinator.toml` holds."""

    name: str = Field(pattern=NAME, description="Name of the federation: small letters, digits and hyphens.")
    hosts: tuple[Host, ...] = Field(
        min_length=1, description="Names and addresses by which hospitals reach the centre; in its certificate."
    )
    listen: str = Field(default="0.0.0.0", description="Address the front listens at, for hospitals.")
    port: int = Field(default=8443, ge=1, le=65535, description="Port of the front: the only one to open.")
    front: Literal["builtin", "nginx", "external"] = Field(
        default="builtin",
        description="Who ends the hospitals' mutual TLS: builtin (for trials), nginx (started by `up`), or "
        "external (your own, configured by `willis coordinator nginx`).",
    )
    superlink_port: int = Field(default=8000, ge=1, le=65535, description="Loopback port of Flower's SuperLink.")
    service_port: int = Field(
        default=8444, ge=1, le=65535, description="Loopback port that renews certificates, for nginx."
    )
    metrics_port: int = Field(default=9464, ge=1, le=65535, description="Loopback port of Prometheus metrics.")
    certificate_days: int = Field(
        default=90, ge=1, le=397, description="Days a certificate is valid; renewed at half of them."
    )
    arrival_seconds: float = Field(
        default=120, gt=0, description="How long a starting run waits for hospitals to connect."
    )
    answer_seconds: float = Field(
        default=600, gt=0, description="How long a hospital may take to enrol, reserve, witness or settle."
    )
    round_seconds: float = Field(default=6 * 3600, gt=0, description="How long a round may take.")
    grace_seconds: float = Field(
        default=600, ge=0, description="How long a round waits for the others once a quorum has answered."
    )
    log_megabytes: int = Field(default=20, ge=1, description="Size at which a log file is set aside.")
    log_files: int = Field(default=10, ge=1, description="How many log files set aside are kept.")


class CoordinatorHome:
    """Where everything of the coordinating centre lies."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @property
    def settings_file(self) -> Path:
        """What a person edits."""
        return self.path / SETTINGS_FILE

    @cached_property
    def settings(self) -> CoordinatorSettings:
        """The settings, read once.

        Raises:
            UsageError: as `read_settings`.
        """
        return read_settings(self.settings_file, CoordinatorSettings)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where hospitals reach the front, as host:port; the preferred one first."""
        hosts = (f"[{host}]" if ":" in host else host for host in self.settings.hosts)
        return tuple(f"{host}:{self.settings.port}" for host in hosts)

    @property
    def federation(self) -> Home:
        """Signing key and ledger."""
        return Home(self.path / "federation")

    @property
    def ca(self) -> Path:
        """Folder of the certificate authority: ca.key, ca.crt, crl.pem."""
        return self.path / "ca"

    @property
    def auditors(self) -> Path:
        """Folder of the auditors' authority (as `ca`), and of the certificates issued to them."""
        return self.path / "auditors"

    @property
    def tls(self) -> Path:
        """Folder of server certificates: server.{key,crt} (front), loopback.{key,crt} (SuperLink)."""
        return self.path / "tls"

    @property
    def sites(self) -> Path:
        """Folder of the hospitals that were approved, a file each."""
        return self.path / "sites"

    @property
    def flower(self) -> Path:
        """Flower's own folder (FLWR_HOME): its state, and the secret its processes share."""
        return self.path / "flower"

    @property
    def bundles(self) -> Path:
        """Folder of app bundles that were sent."""
        return self.path / "bundles"

    @property
    def nginx(self) -> Path:
        """Folder of nginx's configuration, and of what it writes."""
        return self.path / "nginx"

    @property
    def logs(self) -> Path:
        """Folder of logs."""
        return self.path / "logs"

    def run(self, name: str) -> "RunFolder":
        """Return the folder of the run with this name."""
        from server.run.folder import RunFolder

        return RunFolder(self.path / "runs" / name)

    def runs(self) -> "list[RunFolder]":
        """Return all runs, in order of name."""
        from server.run.folder import RunFolder

        return [RunFolder(path.parent) for path in sorted((self.path / "runs").glob("*/run.json"))]
