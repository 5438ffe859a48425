"""`python -m benchmarks.audit_service`: what the audit service moves a second, beside a plain copy over TLS.

The floor is the same bytes over a plain TLS socket (`benchmarks.plain_tls`), from a process of its own, as the
service is, into a file. They are measured by turns, and medians are told: a busy machine slows both.
"""

import os
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.ledger_verify import Size, signer, told
from benchmarks.plain_tls import receive
from server.audit.mirror import fetch_ledger
from server.audit.remote import ClientFiles, Remote, remote
from server.audit.service.servicer import CHUNK_BYTES
from server.dataset.files.seal import SUMS, seal
from server.ledger.export import CHECKPOINT, LINES, jsonl
from shared.canonical import digest
from shared.files import write_durably
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.events import Release
from shared.ledger.log import COORDINATOR, SignedEvent, bound, line
from shared.ledger.view import head_of
from tests.deploy.certificates_made import SERVER, Authority

KIB, MB = 1024, 10**6
CHUNKS = (64 * KIB, 256 * KIB, 1024 * KIB, 2048 * KIB, 4096 * KIB)
BATCHES = (4 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB)
FILE = "noise.bin"
_SERVE = "import sys; from server.audit.service import servicer as s; s.{} = {}; "
_SERVE += "from server.audit.command import audit; audit(sys.argv[1:])"


@dataclass(frozen=True)
class Place:
    """A folder with a published run, and certificates."""

    folder: Path
    entries: int
    manifest: str

    @classmethod
    def made(cls, folder: Path, size: Size, megabytes: int) -> "Place":
        """Write a ledger of `size`, and a data set with one file that cannot be compressed."""
        run = folder / "run"
        write_durably(run / "dataset" / FILE, os.urandom(megabytes * MB))
        sums = seal(run / "dataset", signer(COORDINATOR))
        events = list(told(size))
        named = next(event.run for event in events if event.type == "run")
        events.append(Release(run=named, kind="release", cases=1, manifest=digest(sums)))
        signed = (SignedEvent.by(signer(bound(event)), event) for event in events)
        lines = [line(index, entry) for index, entry in enumerate(signed)]
        write_durably(run / "ledger" / LINES, jsonl(lines))
        checkpoint = Checkpoint.by(signer(COORDINATOR), head_of(lines))
        write_durably(run / "ledger" / CHECKPOINT, checkpoint.text.encode())
        authority = Authority(folder / "tls")
        authority.issue(folder / "tls", "server", SERVER)
        authority.issue(folder / "tls", "client")
        return cls(folder, len(lines), digest((run / "dataset" / SUMS).read_bytes()))

    @property
    def client(self) -> ClientFiles:
        """The client's files."""
        tls = self.folder / "tls"
        return ClientFiles(tls / "client.crt", tls / "client.key", tls / "ca.crt")

    @contextmanager
    def serving(self, constant: str, size: int) -> Iterator[tuple[Remote, int]]:
        """Yield the service, with messages of a size, and its process."""
        tls = self.folder / "tls"
        options = ("--certificate", tls / "server.crt", "--key", tls / "server.key", "--clients", tls / "ca.crt")
        code = _SERVE.format(constant, size)
        command = ("-c", code, "serve", self.folder / "run", "--listen", "127.0.0.1:0", *options)
        with _process(*command) as (process, said):
            found = re.search(r"port (\d+)", said)
            assert found, said
            with remote(f"localhost:{found[1]}", self.client, 30.0) as service:
                yield service, process

    @contextmanager
    def plain(self, file: Path) -> Iterator[tuple[Callable[[], None], int]]:
        """Yield what copies a file over a plain TLS socket, and the process that sends it."""
        tls, files = self.folder / "tls", self.client
        context = ssl.create_default_context(cafile=files.authority)
        context.load_cert_chain(files.certificate, files.key)
        words = (file, tls / "server.crt", tls / "server.key", tls / "ca.crt")
        with _process("-m", "benchmarks.plain_tls", *words) as (process, said):
            yield lambda: receive(int(said), context, self.folder / "copy"), process

    def download(self, service: Remote) -> None:
        """Copy the large file through the service."""
        with (self.folder / "copy").open("wb") as copy:
            for piece, _ in service.download(self.manifest, FILE):
                copy.write(piece)

    def read_events(self, service: Remote) -> None:
        """Copy the ledger through the service."""
        with (self.folder / "copy").open("wb") as copy:
            for batch in service.events(0, self.entries):
                copy.write(jsonl(list(batch)))


@contextmanager
def _process(*words: object) -> Iterator[tuple[int, str]]:
    process = subprocess.Popen(
        [sys.executable, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield process.pid, process.stdout.readline()
    finally:
        process.kill()
        process.wait()


def peak_megabytes(process: int) -> float:
    """Return the most memory that a process ever had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found
    return int(found[1]) * KIB / MB


@dataclass(frozen=True)
class Way:
    """A way to copy, and the process at its other end."""

    copy: Callable[[], None]
    process: int

    def cpu(self) -> float:
        """Return the seconds of processor time that both ends have had."""
        after_name = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        ticks = int(after_name[11]) + int(after_name[12])  # utime, stime: proc(5)
        return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")

    def measure(self) -> tuple[float, float]:
        """Copy; return seconds, and seconds of processor time at both ends."""
        start, cpu = time.perf_counter(), self.cpu()
        self.copy()
        return time.perf_counter() - start, self.cpu() - cpu


def by_turns(repeats: int, *ways: Way) -> list[tuple[float, float]]:
    """Return the medians of each way's seconds and of its processor time, the first turn apart."""
    turns = [[way.measure() for way in ways] for _ in range(repeats + 1)][1:]
    return [
        (statistics.median(wall for wall, _ in taken), statistics.median(cpu for _, cpu in taken))
        for taken in zip(*turns, strict=True)
    ]


def rows(
    place: Place, kind: tuple[str, Sequence[int]], file: Path, ours: Callable[[Place, Remote], None], repeats: int
) -> Iterator[tuple[int, list[float]]]:
    """Yield for every size of a kind of message: seconds of service and floor, processor time of both, memory."""
    constant, sizes = kind
    for size in sizes:
        with place.serving(constant, size) as (service, process), place.plain(file) as (plain, other):
            before = peak_megabytes(process)
            found = by_turns(repeats, Way(partial(ours, place, service), process), Way(plain, other))
            (wall, cpu), (floor, least) = found
            yield size, [wall, floor, cpu, least, before, peak_megabytes(process) - before]


def table(title: str, amount: float, found: Iterable[tuple[int, list[float]]]) -> Table:
    """Return rows as a table; rates are of `amount` a second."""
    columns = ("KiB a message", "service", "floor", "ratio", "of CPU time", "memory, MB", "more at peak, MB")
    made = Table(*columns, box=SIMPLE_HEAD, title=title)
    for size, (wall, floor, cpu, least, before, more) in found:
        rates = f"{amount / wall:,.0f}", f"{amount / floor:,.0f}", f"{floor / wall:.2f}", f"{least / cpu:.2f}"
        made.add_row(f"{size // KIB}", *rates, f"{before:.0f}", f"{more:.0f}")
    return made


@click.command()
@click.option("--megabytes", default=256, show_default=True, help="Of the file that is downloaded.")
@click.option("--runs", default=100, show_default=True, help="Of the ledger: about 240 entries each.")
@click.option("--repeats", default=5, show_default=True, help="Of which the median is told.")
def main(megabytes: int, runs: int, repeats: int) -> None:
    """Print what the audit service moves a second, and its ratio to a plain copy over TLS."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place.made(Path(folder), Size(1000, runs), megabytes)
        console, run = Console(width=110), place.folder / "run"
        found = rows(place, ("CHUNK_BYTES", CHUNKS), run / "dataset" / FILE, Place.download, repeats)
        console.print(table(f"DownloadDataset, {megabytes} MB: MB/s", megabytes, found))
        found = rows(place, ("BATCH_BYTES", BATCHES), run / "ledger" / LINES, Place.read_events, repeats)
        console.print(table(f"StreamEvents, {place.entries:,} entries: events/s", place.entries, found))
        with place.serving("CHUNK_BYTES", CHUNK_BYTES) as (service, _):
            start = time.perf_counter()
            fetch_ledger(service, Path(folder) / "mirror", None, lambda *_: None)
            taken = time.perf_counter() - start
        click.echo(f"willis audit fetch, which checks every entry: {place.entries / taken:,.0f} events/s")


if __name__ == "__main__":
    main()
