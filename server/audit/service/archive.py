"""All that the service may read: exports of one ledger, signed reports, released data sets.

Runs' folders hold private files too (plans, candidates, checkpoints of the model): they are never asked for by a
name that a client sent, only by the few names written here.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.audit.service.history import History
from server.audit.service.released import Released, manifest_of, released_at
from server.dataset.files.seal import UNLISTED
from server.ledger.export import CHECKPOINT, WITNESSED, read_checkpoint
from server.report.seal import NAMESPACE, SIGNATURE
from server.run.folder import RunFolder
from shared.errors import LedgerError, WillisError
from shared.files import Stamp, stamp
from shared.sshsig import ssh_signer

_log = logging.getLogger(__name__)
_REPORT = "report.json"


@dataclass(frozen=True)
class Report:
    """A run's report, its signature, and the checkpoint of the ledger it was made from."""

    data: bytes
    signature: str
    checkpoint: str


class Archive:
    """The published files of one federation, as they stand whenever something is asked."""

    def __init__(self, places: Sequence[Path], datasets: Sequence[Path] = ()) -> None:
        """Serve what lies in `places`, each a run's folder or one with runs in `runs/`, and these data sets.

        Raises:
            LedgerError: no ledger was exported there, it is damaged, or there are several.
        """
        self._places = places
        self._datasets = datasets
        self._history = History()
        self._seen: dict[Path, Stamp] = {}
        self._released: dict[Path, tuple[Stamp, Released]] = {}
        self._lock = threading.Lock()
        if self.history().checkpoint is None:
            where = ", ".join(map(str, places))
            raise LedgerError(f"{where}: no ledger was exported here; name the folder of a run that has ended")

    def history(self) -> History:
        """Return the ledger up to its newest checkpoint.

        Raises:
            LedgerError: an export is damaged, or contradicts what was served: one of them was forked.
        """
        with self._lock:
            for export in [folder / "ledger" for folder in self._folders()]:
                now = stamp([export / CHECKPOINT, export / WITNESSED])
                if (export / CHECKPOINT).exists() and self._seen.get(export) != now:
                    self._history.take(export)
                    self._seen[export] = now
            return self._history

    def report(self, run: str) -> Report | None:
        """Return the signed report of a run that the ledger declares, or None.

        Raises:
            LedgerError: as `history`.
        """
        history = self.history()
        for folder in self._folders() if run in history.runs else ():
            out = folder / "report"
            try:
                if RunFolder(folder).plan().run != run:
                    continue
                checkpoint = read_checkpoint(folder / "ledger" / CHECKPOINT)
                signature = (out / SIGNATURE).read_text(encoding="ascii")
                data = (out / _REPORT).read_bytes()
            except (WillisError, OSError, ValueError) as err:
                _log.info("%s: has no report to serve: %s", folder, err)
                continue
            if ssh_signer(signature, NAMESPACE, data) == history.key:
                return Report(data, signature, checkpoint.text)
        return None

    def datasets(self) -> dict[str, Released]:
        """Return the data sets at hand that the ledger has released, by manifest.

        Raises:
            LedgerError: as `history`.
        """
        history = self.history()
        found: dict[str, Released] = {}
        with self._lock:
            for folder in [*(folder / "dataset" for folder in self._folders()), *self._datasets]:
                if at_hand := self._released_at(folder, history):
                    found.setdefault(at_hand.release.manifest, at_hand)
        return found

    def _released_at(self, folder: Path, history: History) -> Released | None:
        now = stamp([folder / name for name in UNLISTED])
        known = self._released.get(folder)
        if known and known[0] == now:
            return known[1]
        release = history.released.get(manifest_of(folder) or "")
        if release is None:
            return None
        made = released_at(folder, release)
        self._released[folder] = now, made
        return made

    def _folders(self) -> Iterator[Path]:
        for place in self._places:
            runs = sorted(path for path in (place / "runs").glob("*") if path.is_dir())
            yield from runs or [place]
