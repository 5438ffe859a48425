"""A data set packed for a repository that takes few files: one archive, and beside it what describes it.

The same data set gives the same bytes: the archive holds files in order of name, with no time, owner or mode of
the machine it was made on.
"""

import io
import shutil
import tarfile
from pathlib import Path

from server.dataset.checking.verify import require_sound
from server.dataset.files.card import CARD
from server.dataset.files.cases import SHEET
from server.dataset.files.croissant import CROISSANT
from server.dataset.files.deposit import REGISTRY, ZENODO
from server.dataset.files.manifest import TABLE
from server.dataset.files.seal import PROOF, SIGNATURE, SUMS, files_in, sha256
from shared.errors import PublicationRefused
from shared.files import new_folder

# The card shows the sheet, and croissant.json describes the table.
_BESIDE = (CARD, SHEET, ZENODO, CROISSANT, TABLE, REGISTRY, PROOF)


def pack(dataset: Path, out: Path) -> Path:
    """Write the new folder `out` with the archive of a data set, what describes it, and sums; return the archive.

    Raises:
        PublicationRefused: as `require_sound`, or the data set was never released.
        UsageError: `out` exists.
    """
    require_sound(dataset)
    if not (dataset / PROOF).exists():
        raise PublicationRefused(f"{dataset}: no {PROOF}, so it was never released; release it first")
    with new_folder(out) as partial:
        archive = partial / f"willis-{sha256(dataset / SUMS)[:12]}.tar"
        with archive.open("xb") as file:
            _archive(dataset, archive.stem, file)
        for name in _BESIDE:
            if (dataset / name).exists():
                shutil.copyfile(dataset / name, partial / name)
        sums = [f"{sha256(path)}  {path.name}\n" for path in sorted(partial.iterdir())]
        (partial / SUMS).write_text("".join(sums))
    return out / archive.name


def _archive(dataset: Path, name: str, file: io.BufferedWriter) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for inside in sorted([*files_in(dataset), SUMS, SIGNATURE, PROOF]):
            entry = tarfile.TarInfo(f"{name}/{inside}")  # time 0, owner 0, mode 644
            entry.size = (dataset / inside).stat().st_size
            with (dataset / inside).open("rb") as content:
                tar.addfile(entry, content)
