"""The data set a query is about, and the runs it was drawn from, whose ledger says who was trained on."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from server.dataset.files.seal import SUMS, seal_faults
from server.run.drawing import LESIONS, TRANSLATOR, is_chain
from server.run.folder import RunFolder
from shared.canonical import digest
from shared.errors import UsageError
from shared.evaluation.published import Published, find_published
from shared.ledger.view import RunView, view


@dataclass(frozen=True)
class DataSet:
    """A data set, candidate or folder of samples.

    Attributes:
        published: its cases.
        manifest: SHA-256 of its SHA256SUMS, as the ledger names it; "" where nothing is sealed.
        folders: of the runs that drew it, that of the images last.
    """

    published: Published
    manifest: str
    folders: tuple[RunFolder, ...]

    def views(self) -> list[RunView]:
        """Return what the ledger has of each of the runs.

        Raises:
            UsageError, LedgerError: a run has no plan or ledger, or cannot be read.
        """
        found = []
        for folder in self.folders:
            with closing(folder.home.open_ledger()) as ledger:
                found.append(view(ledger.events, folder.plan().run))
        return found


def find_data_set(of: Path, run: Path | None = None) -> DataSet:
    """Return the data set in `of` with the run (or chain of runs) in `run`; by default the folder around it.

    Raises:
        UsageError: there is no data set or no run, it was drawn from another run, or changed since it was sealed.
    """
    published = find_published(of)
    place = run or _around(published.folder)
    folders = (
        (RunFolder(place / LESIONS), RunFolder(place / TRANSLATOR)) if is_chain(place) else (RunFolder(place),)
    )
    sums = published.folder / SUMS
    if not sums.exists():
        return DataSet(published, "", folders)
    if faults := seal_faults(published.folder):
        raise UsageError(f"{published.folder}: not as it was sealed ({faults[0]}); restore the data set")
    drawn_by = folders[-1].plan().run
    if drawn_by not in (published.folder / "dataset_description.json").read_text(encoding="utf-8"):
        raise UsageError(f"{published.folder}: drawn from another run than {place}; name its own with --run")
    return DataSet(published, digest(sums.read_bytes()), folders)


def _around(folder: Path) -> Path:
    """Return the nearest folder around a data set that holds a run or a chain."""
    for place in folder.resolve().parents[:2]:  # RUN/dataset, RUN/candidates/<manifest>
        if RunFolder(place).job_file.exists() or is_chain(place):
            return place
    raise UsageError(f"{folder}: lies in no run's folder; name the run that drew it with --run RUN")
