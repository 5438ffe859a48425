"""nginx as a child: started with a configuration, told of files that changed, stopped; its lines go to our log."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, Self

from shared.errors import UsageError
from shared.files import stamp, write_durably

_LOOK_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Nginx:
    """A running nginx, for a `with` block. When it ends by itself, so does this process (by SIGTERM)."""

    def __init__(self, folder: Path, configuration: str, files: Sequence[Path]) -> None:
        """Write the configuration.

        Args:
            folder: of the configuration and what it names.
            configuration: the text.
            files: certificates, keys, revocations; nginx reads them anew when one changes.

        Raises:
            UsageError: there is no nginx on this machine.
        """
        self._program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if self._program is None:
            raise UsageError("nginx: not found on this machine; install it, or use the built-in proxy")
        self._folder, self._files = folder, files
        self._ending = threading.Event()
        self._configuration = folder / "nginx.conf"
        write_durably(self._configuration, configuration.encode())

    def __enter__(self) -> Self:
        """Start it; from now on SIGTERM ends the block in good order."""
        assert self._program
        self._stop_former()
        self._seen = stamp(self._files)  # before they are read: what changes meanwhile is read twice
        self._process = subprocess.Popen(
            [self._program, "-p", self._folder, "-c", self._configuration, "-e", "stderr"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # its configuration opens /dev/stdout by name, as a pipe can be
            stderr=subprocess.STDOUT,
            errors="replace",  # it quotes what strangers send
        )
        self._handler = signal.signal(signal.SIGTERM, self._leave)
        self._threads = [threading.Thread(target=task) for task in (self._log, self._follow)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it, and wait until it is gone."""
        self._ending.set()
        self._process.terminate()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        signal.signal(signal.SIGTERM, self._handler)

    def wait(self) -> NoReturn:
        """Do nothing until a signal comes."""
        while True:
            signal.pause()

    def _leave(self, number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(0 if self._process.poll() is None else 1)

    def _stop_former(self) -> None:
        """Stop an nginx that outlived the process before this one, for it holds the port."""
        with suppress(OSError, ValueError):  # there is none, or it is another's
            former = int((self._folder / "nginx.pid").read_text())
            if os.fsencode(self._configuration) in Path(f"/proc/{former}/cmdline").read_bytes():
                os.kill(former, signal.SIGTERM)

    def _log(self) -> None:
        """Pass its lines on until it ends."""
        assert self._process.stdout
        for line in self._process.stdout:
            logger.info("%s", line.rstrip())
        self._process.wait()
        if not self._ending.is_set():
            logger.error("nginx ended by itself")
            os.kill(os.getpid(), signal.SIGTERM)

    def _follow(self) -> None:
        """Have it read its files anew when they changed; what does not fit together it leaves unread."""
        while not self._ending.wait(_LOOK_SECONDS):
            now = stamp(self._files)
            if now != self._seen:
                self._seen = now
                self._process.send_signal(signal.SIGHUP)
