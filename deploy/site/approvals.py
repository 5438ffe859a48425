"""The hospital's word: which app bundles it runs. Bundles that were shown, and a line for every decision."""

import fcntl
import getpass
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.site.contents import MOST_BYTES
from shared.errors import UsageError
from shared.files import write_durably

MOST_PENDING = 20  # bundles shown and not decided on: a coordinator must not be able to fill the disk
MOST_REFUSALS = 1000  # lines about refused requests, for the same reason
MOST_WORDS = 400  # characters of why a request was refused: some are the coordinator's own

_HASH = re.compile(r"^[0-9a-f]{64}$")


class Decision(BaseModel):
    """A line of decisions.jsonl.

    Attributes:
        verb: approved or revoked by a person; refused by the guard, which approves and revokes nothing.
        hash: SHA-256 of the bundle.
        time: UTC, ISO 8601.
        person: who was logged in.
        note: why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: Literal["approved", "revoked", "refused"]
    hash: str = Field(pattern=_HASH.pattern)
    time: datetime
    person: str
    note: str


class Approvals:
    """The folder of bundles at a hospital, read afresh at every question: a revocation holds at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "decisions.jsonl"
        self._shown = folder / "reviewed"

    def decisions(self) -> list[Decision]:
        """Return all decisions, oldest first.

        Raises:
            UsageError: naming file and line of what is damaged.
        """
        return [self._decision(number, line) for number, line in enumerate(self._lines(), start=1)]

    def _lines(self) -> list[bytes]:
        """Return the lines, without a last one that a crash or a full disk cut off: nobody was told it holds."""
        try:
            *lines, last = self._file.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        with suppress(ValueError):
            json.loads(last)
            lines.append(last)  # whole but for its end: an editor may have left that out, and it counts
        return lines

    def _decision(self, number: int, line: bytes) -> Decision:
        try:
            return Decision.model_validate_json(line)
        except ValidationError as err:
            raise UsageError(
                f"{self._file}:{number}: damaged; restore it from a backup, or remove the line"
            ) from err

    def is_approved(self, hash_: str) -> bool:
        """Return whether a person's last word on a bundle is that it may run."""
        return self._standing().get(hash_) == "approved"

    def approved(self) -> list[str]:
        """Return the bundles that may run, in order of the first decision on each."""
        return [hash_ for hash_, verb in self._standing().items() if verb == "approved"]

    def last_approved(self) -> str | None:
        """Return the bundle approved last of those that may run."""
        standing = self._standing()
        decided = [d.hash for d in self.decisions() if d.verb == "approved" and standing[d.hash] == "approved"]
        return decided[-1] if decided else None

    def pending(self) -> list[str]:
        """Return the bundles that were shown and that nobody has decided on."""
        decided = self._standing()
        return [hash_ for hash_ in self._kept() if hash_ not in decided]

    def approve(self, content: bytes, note: str) -> str:
        """Let a bundle run; return its hash."""
        hash_ = hashlib.sha256(content).hexdigest()
        with self._alone():
            write_durably(self._bundle(hash_), content)
            self._append("approved", hash_, note)
            self._forget_review(hash_)
        return hash_

    def revoke(self, hash_: str, note: str) -> None:
        """Let a bundle run no longer, or never; one that never ran is not kept."""
        with self._alone():
            ran = any(d.hash == hash_ and d.verb == "approved" for d in self.decisions())
            self._append("revoked", hash_, note)
            self._forget_review(hash_)
            if not ran:
                self._bundle(hash_).unlink(missing_ok=True)

    def note_review(self, hash_: str) -> None:
        """Write down which bundle a person was shown last."""
        with self._alone():
            write_durably(self._shown, hash_.encode())

    def reviewed(self) -> str | None:
        """Return the bundle a person was shown last, unless it was decided on since."""
        try:
            hash_ = self._shown.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return None
        return hash_ if _HASH.fullmatch(hash_) else None

    def refuse(self, hash_: str, note: str) -> None:
        """Write down that a request was refused; the same one is written down once."""
        note = note[:MOST_WORDS]
        with self._alone():
            refused = [d for d in self.decisions() if d.verb == "refused"]
            if len(refused) < MOST_REFUSALS and not any((d.hash, d.note) == (hash_, note) for d in refused):
                self._append("refused", hash_, note)

    def keep(self, content: bytes) -> str:
        """Keep a bundle for review; return its hash.

        Raises:
            UsageError: it is too large, or too many wait for a decision.
        """
        hash_ = hashlib.sha256(content).hexdigest()
        with self._alone():
            if self._bundle(hash_).exists() or hash_ in self._standing():
                return hash_
            if len(content) > MOST_BYTES:
                raise UsageError(f"the bundle has {len(content)} bytes; at most {MOST_BYTES} are kept")
            if len(self.pending()) >= MOST_PENDING:
                raise UsageError(f"{MOST_PENDING} bundles wait for a decision; `willis site revoke` some")
            write_durably(self._bundle(hash_), content)
        return hash_

    def read(self, hash_: str) -> bytes:
        """Return a bundle that was kept.

        Raises:
            UsageError: it was not, or is damaged.
        """
        path = self._bundle(hash_)
        try:
            content = path.read_bytes()
        except FileNotFoundError as err:
            raise UsageError(f"{path}: missing; have the bundle sent again") from err
        if hashlib.sha256(content).hexdigest() != hash_:
            raise UsageError(f"{path}: damaged; remove it and have the bundle sent again")
        return content

    def find(self, start: str) -> str:
        """Return the one bundle kept whose hash begins so.

        Raises:
            UsageError: none or several do.
        """
        known = {*self._kept(), *self._standing()}
        found = sorted(hash_ for hash_ in known if start and hash_.startswith(start))
        if len(found) != 1:
            raise UsageError(f"{len(found)} bundles known here begin with {start!r}; see `willis site review`")
        return found[0]

    def _forget_review(self, hash_: str) -> None:
        if self.reviewed() == hash_:
            self._shown.unlink()

    def _standing(self) -> dict[str, str]:
        """Return a person's last word on each bundle."""
        return {d.hash: d.verb for d in self.decisions() if d.verb != "refused"}

    def _kept(self) -> list[str]:
        """Return the bundles kept, oldest first."""
        paths = [path for path in self._folder.glob("*.fab") if _HASH.fullmatch(path.stem)]
        return [path.stem for path in sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name))]

    def _bundle(self, hash_: str) -> Path:
        return self._folder / f"{hash_}.fab"

    def _append(self, verb: str, hash_: str, note: str) -> None:
        self.decisions()  # never onto a damaged file
        entry = {"verb": verb, "hash": hash_, "time": datetime.now(UTC).isoformat(timespec="seconds")}
        line = json.dumps({**entry, "person": getpass.getuser(), "note": note}).encode()
        before = b"\n".join(self._lines())
        with self._file.open("ab") as file:
            file.truncate(len(before))  # no half line: it would swallow this one
            file.write((b"\n" if before else b"") + line + b"\n")
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder: the guard and a person may decide at once."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "decisions.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
