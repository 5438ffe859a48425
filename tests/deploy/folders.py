"""Folders of a centre and of a hospital as they stand after runs, made without any Flower process."""

import fcntl
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from client.cohort import find_cohort
from client.policy import POLICY_FILE
from client.site import Site
from deploy.coordinator.home import SETTINGS_FILE as COORDINATOR_SETTINGS
from deploy.coordinator.home import CoordinatorHome, CoordinatorSettings
from deploy.coordinator.sites import Approved
from deploy.settings import write_settings
from deploy.site.home import SETTINGS_FILE as SITE_SETTINGS
from deploy.site.home import SiteHome, SiteSettings
from server.run.job import Job
from shared.code import code_digest
from shared.imaging.scan import Role
from shared.ledger.events import Event
from shared.ledger.store import LedgerStore
from shared.privacy.events import NoiseSource
from tests.cohorts import lesion_cohorts
from tests.server.ledgers import Story, signed_all

CODE = code_digest()
_CONDUCTED: list[BinaryIO] = []


def centre(path: Path, events: Sequence[Event] = ()) -> CoordinatorHome:
    """Return a centre whose ledger has `events`."""
    home = CoordinatorHome(path)
    write_settings(
        path / COORDINATOR_SETTINGS, CoordinatorSettings(name="net", hosts=("centre.example.org",), metrics_port=1)
    )
    store = LedgerStore(home.federation.ledger_file, create=True)
    for entry in signed_all(events):
        store.append(entry)
    store.close()
    return home


def add_run(home: CoordinatorHome, name: str, status: Mapping[str, object] | None = None, rounds: int = 4) -> None:
    """Put a run in the centre's folder, as far as `status` says it has come."""
    job = Job(
        recipe="vessels-2d",
        variant="wgan",
        preset="small",
        epsilon=8.0,
        delta=1e-5,
        rounds=rounds,
        sites=3,
        noise_source=NoiseSource.SYSTEM,
        public_seed=7,
        pretrain=False,
        cases=10,
        nonce="",
    )
    folder = home.run(name)
    folder.begin(job, home.federation.path)
    if status is None:
        return
    folder.status_file.write_text(json.dumps(status))
    if status["state"] == "running":
        lock = folder.lock_file.open("ab")
        fcntl.flock(lock, fcntl.LOCK_EX)
        _CONDUCTED.append(lock)  # as long as these tests run


def running(**changed: object) -> dict[str, object]:
    """Return the status of a run in the third of its four rounds."""
    status: dict[str, object] = {
        "state": "running",
        "phase": "rounds",
        "round": 2,
        "rounds": 4,
        "sites": {"north": "training", "south": "answered", "west": "training"},
        "started": 1_700_000_000.0,
        "updated": 1_700_000_060.0,
        "round_seconds": 40.0,
        "mean_round_seconds": 30.0,
        "bytes_out": 3000,
        "bytes_in": 2000,
        "refusals": 1,
    }
    return status | changed


def approve_sites(home: CoordinatorHome, *, active: Sequence[str], revoked: Sequence[str] = ()) -> None:
    """Have the centre know these hospitals."""
    for number, name in enumerate([*active, *revoked]):
        keys = {"signing_key": "00" * 32, "node_key": "ecdsa-sha2-nistp384 AAAA", "tls_key": "00" * 32}
        site = Approved(name=name, serial=number, revoked=name in revoked, **keys)
        home.sites.mkdir(exist_ok=True)
        (home.sites / f"{name}.json").write_text(site.model_dump_json())


def hospital(path: Path, patients: int = 4) -> SiteHome:
    """Return a hospital with patients of lesions, that has set nothing aside yet."""
    cohort = lesion_cohorts(path / "images", {"north": patients}) / "north"
    (cohort / POLICY_FILE).rename(path / POLICY_FILE)
    home = SiteHome(path)
    write_settings(path / SITE_SETTINGS, SiteSettings(name="north", cohort=cohort))
    return home


def reserve(home: SiteHome, story: Story, *, begun: int = 0, settle: bool = False) -> None:
    """Have the hospital set budget aside for the run of `story`, begin some of its rounds, and maybe settle."""
    site: Site = home.site
    cohort = find_cohort(home.cohort, (Role.LESION,))
    run = story.run().model_copy(update={"code": CODE})
    site.enrol(cohort)
    site.reserve(run, cohort, resume=False)
    for number in range(1, begun + 1):
        site.begin(run, cohort, number, base=f"{number:064x}")
    if settle:
        site.settle(run.run)


def certificate(path: Path, days: float) -> None:
    """Write a certificate that is valid for `days` from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1000))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.public_bytes(Encoding.PEM))
