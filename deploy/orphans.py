"""What a killed `up` left behind: Flower's apps live on and wait for a SuperLink or SuperNode to come back."""

import logging
import os
import signal
from contextlib import suppress
from pathlib import Path

_log = logging.getLogger("willis.up")


def end_orphans(flower_home: Path) -> int:
    """Kill every process of this user that was started for the Flower folder `flower_home`; return how many.

    They are known by their environment, which is theirs alone: FLWR_HOME names the folder. An app that was killed
    is asked again, and a hospital answers what it had begun without spending twice.
    """
    mark = f"FLWR_HOME={flower_home}".encode()
    found = [pid for pid in _others() if mark in _environment(pid)]
    for pid in found:
        _log.warning("process %d was left by an earlier `up`, and is ended", pid)
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return len(found)


def _others() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if int(path.name) != os.getpid()]


def _environment(pid: int) -> list[bytes]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return []
