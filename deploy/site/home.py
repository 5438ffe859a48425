"""A hospital's folder: settings a person edits, keys that never leave, what was approved, the site's ledger."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from deploy.settings import ADDRESS, NAME, PROXY, Settings, read_settings
from shared.ledger.log import COORDINATOR

if TYPE_CHECKING:  # brings torch, which the sidecar and the guard do without
    from client.policy import Policy
    from client.site import Site

SETTINGS_FILE = "site.toml"


def _check_name(name: str) -> str:
    if name == COORDINATOR:
        raise ValueError(f"{name} is what ledgers call the centre")
    return name


class SiteSettings(Settings):
    """What `site.toml` holds."""

    name: Annotated[str, AfterValidator(_check_name)] = Field(
        pattern=NAME,
        description="The hospital's name in the federation: small letters, digits and hyphens.",
    )
    cohort: Path = Field(description="Folder of the patients' images; it is only read.")
    coordinator: str = Field(
        default="",
        pattern=f"^$|{ADDRESS}",
        description="host:port of the coordinating centre; `willis site join` writes it.",
    )
    sidecar: Literal["builtin", "nginx", "external"] = Field(
        default="builtin",
        description="Who speaks mutual TLS to the centre: builtin, nginx (started by `up`), or external (your "
        "own, configured by `willis site nginx`).",
    )
    proxy: str = Field(
        default="",
        pattern=f"^$|{PROXY}",
        description="http://host:port of the hospital's outbound proxy, if it has one (builtin only). One that "
        "asks for a user and a password cannot be used: have it let this machine pass without.",
    )
    sidecar_port: int = Field(
        default=8445, ge=1, le=65535, description="Loopback port where the SuperNode meets the sidecar."
    )
    supernode_port: int = Field(default=9094, ge=1, le=65535, description="Loopback port of Flower's SuperNode.")
    metrics_port: int = Field(default=9465, ge=1, le=65535, description="Loopback port of Prometheus metrics.")
    threads: int | None = Field(
        default=None, ge=1, description="Threads training may use; all cores where it is not set."
    )
    noise_seed: int | None = Field(
        default=None, ge=0, description="For simulations only: noise that can be repeated protects nobody."
    )
    log_megabytes: int = Field(default=20, ge=1, description="Size at which a log file is set aside.")
    log_files: int = Field(default=10, ge=1, description="How many log files set aside are kept.")


class SiteHome:
    """Where everything of Willis at a hospital lies."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @property
    def settings_file(self) -> Path:
        """What a person edits."""
        return self.path / SETTINGS_FILE

    @cached_property
    def settings(self) -> SiteSettings:
        """The settings, read once.

        Raises:
            UsageError: as `read_settings`.
        """
        return read_settings(self.settings_file, SiteSettings)

    @property
    def cohort(self) -> Path:
        """The folder of images; one that is not absolute is below this folder."""
        return self.path / self.settings.cohort

    @property
    def site(self) -> "Site":
        """The hospital's side of the protocol: signing key, ledger, what was answered."""
        from client.site import Site

        return Site(self.path, name=self.settings.name, images=self.cohort)

    @property
    def ledger_file(self) -> Path:
        """The hospital's own ledger (see `Site`); not there before the first run."""
        from client.site import STATE

        return self.path / STATE / "ledger.sqlite"

    @property
    def policy(self) -> "Policy":
        """What the hospital allows (see `read_policy`)."""
        from client.policy import POLICY_FILE, read_policy

        return read_policy(self.path / POLICY_FILE)

    @property
    def keys(self) -> Path:
        """Folder of keys for the network: node (OpenSSH), tls.{key,crt}, local.{key,crt} (of the sidecar)."""
        return self.path / "keys"

    @property
    def joined(self) -> Path:
        """What `willis site join` installed of the coordinating centre: its address, CA, signing key, terms."""
        return self.path / "coordinator.json"

    @property
    def ca(self) -> Path:
        """The centre's CA certificate (PEM), from the answer that was installed."""
        return self.keys / "coordinator-ca.crt"

    @property
    def flower(self) -> Path:
        """Flower's own folder (FLWR_HOME), and the secret its processes share."""
        return self.path / "flower"

    @property
    def bundles(self) -> Path:
        """Folder of app bundles: those shown, and what was decided about each."""
        return self.path / "bundles"

    @property
    def nginx(self) -> Path:
        """Folder of nginx's configuration, and of what it writes."""
        return self.path / "nginx"

    @property
    def logs(self) -> Path:
        """Folder of logs."""
        return self.path / "logs"
