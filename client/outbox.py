"""What a site answered in a run: the same question gets the same answer, another question is refused.

Before a round's first private step the question (round and base model) is written down; after the last step
the answer is, together with the optimiser's state. A coordinator that asks again, after a crash, gets the
stored bytes. One that asks an answered round from another model, or a round whose answer is no longer kept,
would make the site spend twice: refused.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from shared.canonical import canonical
from shared.errors import CheckpointError, RequestRefused
from shared.files import write_durably

KEEP = 2  # as many as the coordinator keeps checkpoints: it may have to go back by one round
_TORN = re.compile(rb'\{("base":?)?.*', re.DOTALL)  # how a question begins; one that a crash cut has no more
_ARRAYS, _OPTIMIZER = "arrays/", "optimizer/"


class Outbox:
    """The folder of one run at one site."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._questions = folder / "questions.jsonl"

    @property
    def rounds(self) -> int:
        """Number of rounds for which private steps were begun: what the run is charged for."""
        return len(self._asked())

    def has_begun(self, round_: int) -> bool:
        """Whether private steps of this round were begun, and so charged."""
        return round_ in self._asked()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold off whoever else answers in this run: two answers at once would be noised apart."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def begin(self, round_: int, base: str) -> None:
        """Write down that round `round_` starts from the model with digest `base`.

        Raises:
            RequestRefused: the round was begun from another model, a later round was begun and this one was
                not, or its answer is no longer kept.
        """
        asked = self._asked()
        if asked.get(round_, base) != base:
            raise RequestRefused(f"round {round_} was begun from another model; a second answer would spend twice")
        if round_ in asked:
            self._check_kept(round_)
            return
        if asked and max(asked) > round_:
            raise RequestRefused(f"round {round_} comes after round {max(asked)} was begun")
        self._write_question(canonical({"base": base, "round": round_}) + b"\n")

    def recall(self, round_: int) -> dict[str, Tensor] | None:
        """Return the stored answer to round `round_`, if there is one.

        Raises:
            CheckpointError: the stored answer is damaged.
        """
        path = self._answer(round_)
        return _under(_load(path), _ARRAYS) if path.exists() else None

    def optimizer_state(self, round_: int) -> dict[str, Tensor]:
        """Return the optimiser's state that round `round_` starts from; empty before the first answer.

        Raises:
            CheckpointError: the stored state is damaged.
        """
        before = [path for path in self._answers() if path < self._answer(round_)]
        return _under(_load(before[-1]), _OPTIMIZER) if before else {}

    def store(self, round_: int, arrays: Mapping[str, Tensor], optimizer: Mapping[str, Tensor]) -> None:
        """Keep the answer to a round, durably, before it is sent; drop all but the last `KEEP` answers."""
        flat = {_ARRAYS + name: value.contiguous() for name, value in arrays.items()}
        flat |= {_OPTIMIZER + name: value.contiguous() for name, value in optimizer.items()}
        write_durably(self._answer(round_), save(flat))
        for old in self._answers()[:-KEEP]:
            old.unlink()

    def forget_answers(self) -> None:
        """Start a seeded run over: answers are recomputed, but answered questions stay binding."""
        for path in self._answers():
            path.unlink()

    def _check_kept(self, round_: int) -> None:
        """Refuse to compute an answer again that was sent and dropped: it would be noised afresh."""
        later = [path for path in self._answers() if path > self._answer(round_)]
        if later and not self._answer(round_).exists():
            raise RequestRefused(f"round {round_} was answered long ago; a second answer would spend twice")

    def _write_question(self, line: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # A line that a crash tore has no end; without one it would swallow this question.
        torn = self._questions.exists() and not self._questions.read_bytes().endswith(b"\n")
        with self._questions.open("ab") as file:
            file.write((b"\n" if torn else b"") + line)
            file.flush()
            os.fsync(file.fileno())

    def _asked(self) -> dict[int, str]:
        if not self._questions.exists():
            self._check_answered({})
            return {}
        asked: dict[int, str] = {}
        for raw in filter(None, self._questions.read_bytes().splitlines()):
            try:
                fields = json.loads(raw)
            except ValueError as err:
                if not _TORN.fullmatch(raw):
                    raise CheckpointError(f"{self._questions}: damaged; restore it from a backup") from err
                continue  # torn by a crash before it was durable: that round's first step never ran
            asked[fields["round"]] = fields["base"]
        self._check_answered(asked)
        return asked

    def _check_answered(self, asked: Mapping[int, str]) -> None:
        answered = [int(path.stem.removeprefix("answer-")) for path in self._answers()]
        if missing := sorted(set(answered) - asked.keys()):
            msg = f"{self._questions}: lacks round {missing[0]}, which was answered"
            raise CheckpointError(f"{msg}; restore it from a backup")

    def _answer(self, round_: int) -> Path:
        return self._folder / f"answer-{round_:06d}.safetensors"

    def _answers(self) -> list[Path]:
        return sorted(self._folder.glob("answer-*.safetensors"))


def _load(path: Path) -> dict[str, Tensor]:
    try:
        stored: dict[str, Tensor] = load(path.read_bytes())
    except Exception as err:  # safetensors has its own error class; any failure to read is damage
        raise CheckpointError(f"{path}: damaged; restore it from a backup or leave the run") from err
    return stored


def _under(stored: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in stored.items() if name.startswith(prefix)}
