"""How much one client may ask for: requests a minute, and how many at once. Pure but for the clock it is given."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """What one client may do, whatever connections it opens.

    Attributes:
        per_minute: requests on average, and so many at once after a pause.
        at_once: requests that may be open together; a stream is one.
    """

    per_minute: int = 1200
    at_once: int = 8


@dataclass
class _Client:
    allowance: float
    asked: float  # when the allowance was computed, in seconds of the clock
    open: int = 0


@dataclass
class Meter:
    """Counts what clients do; a client is whatever name it is given."""

    limits: Limits
    clock: Callable[[], float] = time.monotonic
    _clients: dict[str, _Client] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, client: str) -> str:
        """Let a client begin a request; return "", or why it may not now. What began has to `end`."""
        with self._lock:
            now, limits = self.clock(), self.limits
            known = self._clients.setdefault(client, _Client(limits.per_minute, now))
            earned = (now - known.asked) * limits.per_minute / 60
            known.allowance, known.asked = min(limits.per_minute, known.allowance + earned), now
            if known.open >= limits.at_once:
                return f"{limits.at_once} requests are open already; wait until one ends"
            if known.allowance < 1:
                return f"more than {limits.per_minute} requests a minute; wait a little"
            known.allowance -= 1
            known.open += 1
            return ""

    def end(self, client: str) -> None:
        """Note that a request, which began, is over."""
        with self._lock:
            self._clients[client].open -= 1
