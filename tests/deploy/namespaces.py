"""Machines made of network namespaces: each with an address of its own, and a cable that can be pulled."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

_BRIDGE = "willis-test"
_NET = "10.77.0"


@dataclass(frozen=True)
class Machine:
    """One namespace."""

    name: str
    address: str

    @property
    def link(self) -> str:
        """The end of its cable outside; such names have at most 15 letters."""
        return f"v-{self.name}"[:15]

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return a command that runs on this machine."""
        return ["ip", "netns", "exec", self.name, *command]

    def unplug(self) -> None:
        """Cut the link; connections in flight hang, as they do when a cable is pulled."""
        _ip("link", "set", self.link, "down")

    def plug_in(self) -> None:
        """Mend the link."""
        _ip("link", "set", self.link, "up")


@contextmanager
def machines(names: Sequence[str]) -> Iterator[list[Machine]]:
    """Yield machines on one network; they and the network are gone afterwards.

    Raises:
        subprocess.CalledProcessError: this is not allowed here (it needs root, or a user namespace).
    """
    made = [Machine(f"willis-{name}", f"{_NET}.{place}") for place, name in enumerate(names, start=1)]
    _clear(made)
    try:
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("link", "set", _BRIDGE, "up")
        for machine in made:
            _ip("netns", "add", machine.name)
            _ip("link", "add", machine.link, "type", "veth", "peer", "eth0", "netns", machine.name)
            _ip("link", "set", machine.link, "master", _BRIDGE, "up")
            for words in (
                ("addr", "add", f"{machine.address}/24", "dev", "eth0"),
                ("link", "set", "eth0", "up"),
                ("link", "set", "lo", "up"),
            ):
                _ip("-n", machine.name, *words)
        yield made
    finally:
        _clear(made)


def _clear(made: Sequence[Machine]) -> None:
    for machine in made:
        subprocess.run(["ip", "netns", "del", machine.name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", machine.link], check=False, capture_output=True)
    subprocess.run(["ip", "link", "del", _BRIDGE], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
