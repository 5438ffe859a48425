"""Data sets of a ledger that was fetched: each file checked against the sums that the coordinator sealed."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from server.audit.mirror import Fetched
from server.audit.mirror import Report as Progress
from server.audit.remote import NotFound, OutOfRange, Remote
from server.audit.service.released import is_plain, releases_of
from server.dataset.files.seal import NAMESPACE, PROOF, SIGNATURE, SUMS, listed_sums, sha256
from shared.canonical import digest
from shared.errors import LedgerError
from shared.files import write_durably
from shared.sshsig import ssh_signer

_MOST_SUMS = 64 * 1024**2  # bytes of a SHA256SUMS, which is kept in memory
_KB = 1000


def fetch_datasets(remote: Remote, out: Path, ledger: Fetched, report: Progress) -> list[Path]:
    """Fetch into OUT/datasets every data set that the ledger has released and the service has; return the folders.

    Raises:
        LedgerError: a file is not the one that was sealed, or the seal is not the coordinator's.
        ServiceError: the service fails.
    """
    released = releases_of(signed.event for signed in ledger.events)
    found = []
    for listed in remote.datasets():
        if listed.manifest not in released:
            raise LedgerError(f"data set {listed.manifest[:12]!r} was never released; tell the centre")
        folder = out / "datasets" / listed.manifest[:12]
        _Download(remote, listed.manifest, folder, out / "partial", ledger.key).fetch(listed.size, report)
        found.append(folder)
    with suppress(OSError):  # it was never needed
        (out / "partial").rmdir()
    return found


class _Download:
    """One data set on its way. A file has its name only once it is whole and the one that was sealed."""

    def __init__(self, remote: Remote, manifest: str, folder: Path, parts: Path, key: str) -> None:
        self._remote = remote
        self._manifest = manifest
        self._folder = folder
        self._parts = parts
        self._key = key
        self._bytes = 0  # that have come, or were there

    def fetch(self, size: int, report: Progress) -> None:
        """Fetch what is missing of the data set, of `size` bytes in all."""
        sums, signature = self._small(SUMS), self._small(SIGNATURE)
        if digest(sums) != self._manifest:
            raise LedgerError(f"data set {self._manifest[:12]}: its SHA256SUMS is not the one released")
        if ssh_signer(signature.decode(errors="replace"), NAMESPACE, sums) != self._key:
            raise LedgerError(f"data set {self._manifest[:12]}: not signed by the coordinator; tell the centre")
        write_durably(self._folder / SUMS, sums)
        write_durably(self._folder / SIGNATURE, signature)
        with suppress(NotFound):
            write_durably(self._folder / PROOF, self._small(PROOF))
        self._bytes = len(sums) + len(signature)
        label = f"data set {self._manifest[:12]}, kB"
        for name, value in sorted(listed_sums(self._folder).items()):
            if not is_plain(name):
                raise LedgerError(f"data set {self._manifest[:12]}: names a file {name!r} outside of it")
            self._file(name, value, lambda: report(label, self._bytes // _KB, size // _KB))

    def _small(self, name: str) -> bytes:
        data = b""
        for piece, _ in self._remote.download(self._manifest, name):
            data += piece
            if len(data) > _MOST_SUMS:
                raise LedgerError(f"data set {self._manifest[:12]}: {name} is too large to be one")
        return data

    def _file(self, name: str, value: str, report: Callable[[], None]) -> None:
        """Fetch a file unless it is here."""
        path, part = self._folder / name, self._parts / digest(f"{self._manifest} {name}".encode())
        if path.exists() and sha256(path) == value:
            self._bytes += path.stat().st_size
            report()
            return
        tries = 2 if part.exists() else 1  # what an earlier fetch left may not be what it was
        if not any(self._complete(part, name, value, report) for _ in range(tries)):
            raise LedgerError(f"data set {self._manifest[:12]}: {name} is not the file sealed; tell the centre")
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part, path)

    def _complete(self, part: Path, name: str, value: str, report: Callable[[], None]) -> bool:
        """Fetch what is missing of a file; whether it is the one sealed. If not, nothing is kept of it."""
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("a+b") as file:
            begun = file.tell()
            try:
                for piece, _ in self._remote.download(self._manifest, name, begun):
                    file.write(piece)
                    self._bytes += len(piece)
                    report()
            except OutOfRange:
                pass  # more is here than the file has
            self._bytes += begun
        fine = sha256(part) == value
        if not fine:
            part.unlink()
        return fine
