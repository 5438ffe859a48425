"""How much memory this process has held."""

import resource
import sys
from pathlib import Path


def peak_memory() -> int:
    """Return the most memory this process has held so far, in bytes.

    `getrusage` is not asked where Linux tells better: there a new process inherits its parent's peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (text for text in status.read_text().splitlines() if text.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
