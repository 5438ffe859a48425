"""What both ends read of their own disks to show how they stand. Nothing here reads a patient.

Nothing is changed either, but that opening a ledger makes its lock file, and completes its mirror where a crash
left it short.
"""

import shutil
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509

from shared.ledger.log import SignedEvent
from shared.ledger.store import LedgerStore


def ledger_events(path: Path) -> tuple[SignedEvent, ...]:
    """Return the entries of a ledger, checked; () where none was begun. An unchanged file is read once.

    Raises:
        LedgerError: it is damaged or cannot be read.
    """
    if not path.exists():
        return ()
    stat = path.stat()
    return _events(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=2)
def _events(path: Path, _changed: int, _size: int) -> tuple[SignedEvent, ...]:
    ledger = LedgerStore(path, create=False)
    try:
        return tuple(ledger.events)
    finally:
        ledger.close()


def expiry(certificate: Path) -> datetime | None:
    """Return when a certificate (PEM) ceases to be valid; None where there is none, or it is spoilt."""
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None


def days_left(until: datetime) -> float:
    """Return the days from now to `until`, negative when it has passed."""
    return (until - datetime.now(UTC)).total_seconds() / 86400


def free_bytes(folder: Path) -> int:
    """Return the free space of the disk that holds `folder`, in bytes."""
    return shutil.disk_usage(folder).free
