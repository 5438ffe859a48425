"""What a site answered in a run: the same question gets the same answer, another question is refused.

Before a round's first private step the question (round and base model) is written down; after the last step
the answer is, together with the optimiser's state. A coordinator that asks again, after a crash, gets the
stored bytes. One that asks an answered round from another model would make the site spend twice: refused.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from shared.canonical import canonical
from shared.errors import CheckpointError, ProtocolError
from shared.files import write_durably

_ARRAYS, _OPTIMIZER = "arrays/", "optimizer/"


class Outbox:
    """The folder of one run at one site."""

    def __init__(self, folder: Path) -> None:
        self._questions = folder / "questions.jsonl"
        self._answer = folder / "answer.safetensors"

    @property
    def rounds(self) -> int:
        """Number of rounds for which private steps were begun: what the run is charged for."""
        return len(self._asked())

    def begin(self, round_: int, base: str) -> None:
        """Write down that round `round_` starts from the model with digest `base`.

        Raises:
            ProtocolError: the round was begun from another model, or a later round was.
        """
        asked = self._asked()
        if asked.get(round_, base) != base:
            raise ProtocolError(f"round {round_} was begun from another model; a second answer would spend twice")
        if round_ in asked:
            return
        if asked and max(asked) > round_:
            raise ProtocolError(f"round {round_} comes after round {max(asked)} was begun")
        self._questions.parent.mkdir(parents=True, exist_ok=True)
        with self._questions.open("ab") as file:
            file.write(canonical({"base": base, "round": round_}) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def recall(self, round_: int) -> dict[str, Tensor] | None:
        """Return the stored answer to round `round_`, if it is the latest."""
        stored = self._load()
        return _under(stored, _ARRAYS) if stored and _round(stored) == round_ else None

    def optimizer_state(self) -> dict[str, Tensor]:
        """Return the optimiser's state after the latest answered round; empty before the first."""
        stored = self._load()
        return _under(stored, _OPTIMIZER) if stored else {}

    def store(self, round_: int, arrays: Mapping[str, Tensor], optimizer: Mapping[str, Tensor]) -> None:
        """Keep the answer to a round, durably, before it is sent."""
        flat = {_ARRAYS + name: value.contiguous() for name, value in arrays.items()}
        flat |= {_OPTIMIZER + name: value.contiguous() for name, value in optimizer.items()}
        write_durably(self._answer, save({**flat, "round": torch.tensor(round_)}))

    def forget_answers(self) -> None:
        """Start a seeded run over: answers are recomputed, but answered questions stay binding."""
        self._answer.unlink(missing_ok=True)

    def _asked(self) -> dict[int, str]:
        if not self._questions.exists():
            return {}
        asked: dict[int, str] = {}
        for raw in self._questions.read_bytes().splitlines():
            try:
                fields = json.loads(raw)
            except ValueError:
                continue  # torn by a crash before it was durable: that round's first step never ran
            asked[fields["round"]] = fields["base"]
        return asked

    def _load(self) -> dict[str, Tensor] | None:
        if not self._answer.exists():
            return None
        try:
            stored: dict[str, Tensor] = load(self._answer.read_bytes())
        except Exception as err:
            msg = f"{self._answer}: damaged; restore it from a backup or leave the run"
            raise CheckpointError(msg) from err
        return stored


def _round(stored: Mapping[str, Tensor]) -> int:
    return int(stored["round"])


def _under(stored: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in stored.items() if name.startswith(prefix)}
