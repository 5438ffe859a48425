"""A released data set as it is served: exactly the files that its SHA256SUMS names, and the seal itself.

The ledger names the digest of SHA256SUMS, and SHA256SUMS the files: what was not released has no name here, and a
name is never resolved as a path that a client made up.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path, PurePosixPath

from server.dataset.files.seal import SUMS, UNLISTED, listed_sums
from shared.canonical import digest
from shared.ledger.events import Event, Release


@dataclass(frozen=True)
class Released:
    """A data set that the ledger has released.

    Attributes:
        folder: where it lies.
        release: what the ledger says.
        files: its files, as paths relative to the folder, with forward slashes.
        size: of all files (bytes).
    """

    folder: Path
    release: Release
    files: frozenset[str]
    size: int

    def open(self, file: str) -> FileIO | None:
        """Open a file of the data set; None where there is none of that name."""
        if file not in self.files or not is_plain(file):
            return None
        try:
            return _open_beneath(self.folder, PurePosixPath(file).parts)
        except OSError:  # missing, or a link was put in its place
            return None


def releases_of(events: Iterable[Event]) -> dict[str, Release]:
    """Return the data sets that events release, by manifest; a simulation, or a network, is none."""
    found = (event for event in events if isinstance(event, Release))
    return {event.manifest: event for event in found if (event.kind, event.what) == ("release", "data set")}


def is_plain(name: str) -> bool:
    """Whether a name in a SHA256SUMS leads downwards only: neither absolute, nor through `..`, nor odd."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and path.as_posix() == name


def manifest_of(folder: Path) -> str | None:
    """Return the digest of a data set's SHA256SUMS, by which the ledger names it; None where there is none."""
    try:
        return digest((folder / SUMS).read_bytes())
    except OSError:
        return None


def released_at(folder: Path, release: Release) -> Released:
    """Return the data set in `folder`, whose SHA256SUMS is the one released."""
    files = frozenset(name for name in listed_sums(folder) if is_plain(name)) | {
        name for name in UNLISTED if (folder / name).is_file()
    }
    return Released(folder, release, files, sum(_size(folder / name) for name in files))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0  # missing here: whoever asks for it is told


def _open_beneath(folder: Path, parts: tuple[str, ...]) -> FileIO:
    """Open a regular file below `folder` without following a link on the way.

    Raises:
        OSError: it is missing, a link, or no regular file.
    """
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        # Not to block where somebody put a pipe.
        file = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
    finally:
        os.close(at)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError("not a regular file")
    return FileIO(file, "rb")
