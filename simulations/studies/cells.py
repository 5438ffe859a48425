"""A study as named, independent cells: each is computed once, and an interrupted study goes on where it was.

A cell is a name and settings. Its result is JSON in `OUT/cells/<name>.json`, written whole or not at all, with the
digest of the settings; a cell whose file has this digest is not computed again. Whatever a cell leaves beside its
result (a run, samples) lies in a folder of its own, and is begun anew with it.

Every cell has a process of its own, so that one that crashes or runs out of memory takes no other with it, and
its memory is free for the next. What it prints is in `OUT/cells/<name>.log`. On Linux such a process is a fork of
one that has loaded the libraries and done nothing else (`preload`), elsewhere it loads them itself.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from shared.canonical import Json, canonical, digest
from shared.code import code_digest
from shared.errors import UsageError
from shared.files import write_durably

FOLDER = "cells"
# Never a fork of this process, which would copy the locks of other threads.
_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
Report = Callable[[str, int, int], None]  # what is being done, cells done, cells in all


@dataclass(frozen=True)
class Cell:
    """One piece of work: everything that decides its result is in `settings`."""

    name: str  # also of its files: letters, digits, dots and dashes
    settings: Mapping[str, Json]

    @property
    def digest(self) -> str:
        """SHA-256 of the settings."""
        return digest(canonical(self.settings))


@dataclass(frozen=True)
class Done:
    """What a cell found."""

    result: Any  # JSON; each kind of cell says what
    seconds: float  # it took, loading of libraries left out
    code: str  # digest of the code it ran


Work = Callable[[Path, Cell], Json]  # a function of a module, so that another process can find it: OUT, cell


def preload(module: str) -> None:
    """Have the processes of cells start with a module loaded, which takes seconds; to be called before any starts.

    They compute on one thread each: cells run side by side, and small networks gain nothing from a second one.
    """
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    if _METHOD == "forkserver":
        get_context(_METHOD).set_forkserver_preload([module])


def run_cells(
    out: Path, stage: str, cells: Sequence[Cell], work: Work, *, jobs: int, report: Report
) -> dict[str, Done]:
    """Compute the cells that have no result yet, `jobs` at a time; return all results by name.

    Args:
        out: folder of the study.
        stage: what the cells do, for the progress bar.
        cells: independent of one another.
        work: returns a cell's result.
        jobs: processes at a time.
        report: told about every cell that is done.

    Raises:
        UsageError: some cells failed, with their names and reasons; the others are done and kept.
    """
    if len({cell.name for cell in cells}) < len(cells):
        raise ValueError(f"{stage}: cells need a name each")
    done = {cell.name: found for cell in cells if (found := finished(out, cell)) is not None}
    missing = [cell for cell in cells if cell.name not in done]
    report(stage, len(done), len(cells))
    failed: dict[str, str] = {}
    pool = ThreadPoolExecutor(jobs)  # its threads only wait for processes
    try:
        waiting = {pool.submit(_in_new_process, out, cell, work): cell for cell in missing}
        for future in as_completed(waiting):
            _take(out, waiting[future], future, done, failed)
            report(stage, len(done), len(cells))
    finally:
        pool.shutdown(cancel_futures=True)
    if failed:
        listed = "; ".join(f"{name}: {why}" for name, why in sorted(failed.items()))
        log = out / FOLDER / f"{min(failed)}.log"
        raise UsageError(
            f"{len(failed)} of {len(cells)} cells failed at {stage} ({listed}); the rest is kept. "
            f"Look into {log}, then give the same command again"
        )
    return {cell.name: done[cell.name] for cell in cells}


def finished(out: Path, cell: Cell) -> Done | None:
    """Return a cell's result, or None if it has none with these settings (or a damaged one)."""
    try:
        kept = json.loads(_file(out, cell).read_bytes())
        if kept["digest"] == cell.digest:
            return Done(kept["result"], float(kept["seconds"]), str(kept["code"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _take(out: Path, cell: Cell, future: Future[None], done: dict[str, Done], failed: dict[str, str]) -> None:
    """Note what became of a cell; any error of one is no reason to stop the others."""
    error = future.exception()
    found = finished(out, cell)
    if error is None and found is not None:
        done[cell.name] = found
    else:
        failed[cell.name] = " ".join(str(error).split()) or type(error).__name__


def _in_new_process(out: Path, cell: Cell, work: Work) -> None:
    log = out / FOLDER / f"{cell.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(1, get_context(_METHOD), initializer=_start, initargs=(log,)) as one:
        one.submit(_compute, out, cell, work).result()


def _start(log: Path) -> None:
    """Send what this process prints, whoever prints it, to a file; and end with the study, however that ends.

    A cell left behind by a study that was killed would write into the folder of its successor.
    """
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(file, stream.fileno())
    threading.Thread(target=_end_with_study, daemon=True).start()


def _end_with_study() -> None:
    study = parent_process()
    assert study is not None
    study.join()
    os._exit(1)


def _compute(out: Path, cell: Cell, work: Work) -> None:
    _file(out, cell).unlink(missing_ok=True)  # of other settings; what it left beside goes with it
    start = time.perf_counter()
    result = work(out, cell)
    kept = {
        "name": cell.name,
        "settings": dict(cell.settings),
        "digest": cell.digest,
        "code": code_digest(),
        "seconds": time.perf_counter() - start,
        "result": result,
    }
    text = json.dumps(kept, indent=1, ensure_ascii=False, allow_nan=False)
    write_durably(_file(out, cell), text.encode() + b"\n")


def _file(out: Path, cell: Cell) -> Path:
    return out / FOLDER / f"{cell.name}.json"
