"""The hospitals that were approved: a file each, by name."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.coordinator.home import CoordinatorHome
from deploy.settings import NAME
from shared.canonical import canonical
from shared.errors import UsageError
from shared.files import write_durably


class Approved(BaseModel):
    """A hospital that was let in."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(pattern=NAME)
    signing_key: str  # Ed25519, hexadecimal
    node_key: str  # of Flower's SuperNode, OpenSSH without a comment
    tls_key: str  # SHA-256 of the SubjectPublicKeyInfo, hexadecimal
    serial: int  # of the newest certificate
    earlier: tuple[int, ...] = ()  # serials of those before it, which a revocation names too
    revoked: bool = False
    reason: str = ""  # of the revocation

    @property
    def active(self) -> bool:
        """Whether it may take part."""
        return not self.revoked


def all_sites(home: CoordinatorHome) -> list[Approved]:
    """Return all hospitals that ever were approved, in order of name.

    Raises:
        UsageError: a file is damaged.
    """
    found = []
    for path in sorted(home.sites.glob("*.json")):
        try:
            found.append(Approved.model_validate_json(path.read_bytes()))
        except ValidationError as err:
            raise UsageError(f"{path}: damaged; restore it from a backup") from err
    return found


def site_named(home: CoordinatorHome, name: str) -> Approved:
    """Return a hospital.

    Raises:
        UsageError: none of that name was approved, or its file is damaged.
    """
    sites = {site.name: site for site in all_sites(home)}
    if name not in sites:
        known = ", ".join(sites) or "none yet"
        raise UsageError(f"no hospital {name} was approved; there are: {known}")
    return sites[name]


def keep(home: CoordinatorHome, site: Approved) -> None:
    """Write down what is known of a hospital."""
    write_durably(home.sites / f"{site.name}.json", canonical(site.model_dump(mode="json")) + b"\n")


def certificate_file(home: CoordinatorHome, name: str) -> Path:
    """Return where a hospital's newest certificate lies (PEM): asked for again, it is sent again."""
    return home.sites / f"{name}.crt"


@contextmanager
def held(home: CoordinatorHome) -> Iterator[None]:
    """Hold the register, so that a revocation and a renewal in another process come one after the other."""
    home.sites.mkdir(parents=True, exist_ok=True)
    with (home.sites / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
