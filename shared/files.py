"""Files that are there whole or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import UsageError


def write_durably(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Replace `path` by `data` in one step: temporary file, fsync, rename, fsync of the folder.

    Args:
        path: what is replaced; its folder is made where it is missing.
        data: all of the new content.
        mode: of the new file, less what the umask forbids; 0o600 for what only its owner may read.

    Raises:
        OSError: it could not be written, naming `path`; what was there before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    try:
        with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            if not mode & 0o077:
                os.fchmod(file.fileno(), mode)  # one that a crash left may have been open to others
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as err:
        temporary.unlink(missing_ok=True)
        raise OSError(err.errno, err.strerror, str(path)) from err  # a failed write names no file of itself
    flush(path.parent)


def move_durably(what: Path, to: Path) -> None:
    """Move a file or a folder to a place where nothing is, in one step on one disk.

    On another disk it is copied to a sibling of `to` first, so that it is there whole or not at all.

    Raises:
        UsageError: something is there.
        OSError: it could not be moved; it is where it was.
    """
    if to.exists():
        raise UsageError(f"{to}: exists already; remove it or name another place")
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(what, to)
    except OSError as err:
        if err.errno != errno.EXDEV:
            raise
        partial = to.with_name(f".{to.name}.partial")
        remove(partial)  # left by a crash; nothing refers to it
        shutil.copytree(what, partial) if what.is_dir() else shutil.copy2(what, partial)
        for path in [*partial.rglob("*"), partial]:
            flush(path)
        os.rename(partial, to)
        remove(what)
    flush(to.parent)


def remove(path: Path) -> None:
    """Remove a file or a folder with all in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a sibling folder that becomes `out` when the block succeeds and vanishes when it does not.

    Raises:
        UsageError: `out` exists.
    """
    if out.exists():
        raise UsageError(f"{out}: exists already; remove it or name another folder")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a crash; nothing refers to it
    partial.mkdir(parents=True)
    try:
        yield partial
        os.rename(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    flush(out.parent)


def flush(path: Path) -> None:
    """Make what a file or a folder holds durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
