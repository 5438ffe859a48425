"""A run's state after a round, as one safetensors file that is there whole or not at all.

The file holds every network, the coordinator's optimiser and, as metadata, the round, whom it averaged and
refused (so that a resumed run can complete the ledger), and the digest of its own arrays, so that damage
anywhere is found when it is read. Nothing is ever unpickled.
"""

import errno
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from shared.canonical import canonical
from shared.errors import CheckpointError
from shared.files import write_durably
from shared.ledger.events import Refuse
from shared.messages import digest_tensors

KEEP = 2  # the latest, and the one before it in case a disk returns the latest damaged


@dataclass(frozen=True)
class Checkpoint:
    """The coordinator's state after `round` rounds (0: initial weights)."""

    round: int
    arrays: Mapping[str, Tensor]
    refused: tuple[Refuse, ...] = ()  # updates the round refused
    sites: tuple[str, ...] = ()  # sites it averaged

    @cached_property
    def model(self) -> str:
        """Digest of the state: what the ledger's round event names."""
        return digest_tensors(self.arrays)


def path_of(folder: Path, round_: int) -> Path:
    """Return the file of a round."""
    return folder / f"round-{round_:05d}.safetensors"


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint durably and drop all but the last `KEEP`.

    Raises:
        CheckpointError: the disk is full or not writable; earlier checkpoints are untouched.
    """
    path = path_of(folder, checkpoint.round)
    account = {"sites": checkpoint.sites, "refused": [r.model_dump(mode="json") for r in checkpoint.refused]}
    metadata = {
        "round": str(checkpoint.round),
        "model": checkpoint.model,
        "account": canonical(account).decode(),
    }
    data = save({k: v.contiguous() for k, v in checkpoint.arrays.items()}, metadata)
    try:
        write_durably(path, data)
    except OSError as err:
        remedy = "free space" if err.errno == errno.ENOSPC else "make the folder writable"
        msg = f"{path}: could not be written ({err.strerror}); {remedy}, then --resume: nothing was lost"
        raise CheckpointError(msg) from err
    for old in sorted(folder.glob("round-*.safetensors"))[:-KEEP]:
        old.unlink()
    return path


def latest(folder: Path) -> Checkpoint:
    """Read the newest checkpoint.

    Raises:
        CheckpointError: there is none, or it is damaged; names the file and the remedy.
    """
    files = sorted(folder.glob("round-*.safetensors"))
    if not files:
        raise CheckpointError(f"{folder}: no checkpoint here; start the run again without --resume")
    return read_checkpoint(files[-1])


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and check its arrays against their digest.

    Raises:
        CheckpointError: the file is damaged.
    """
    remedy = "delete it to continue from the checkpoint before, or restore it"
    try:
        data = path.read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        metadata = json.loads(data[8 : 8 + size])["__metadata__"]
        account = json.loads(metadata["account"])
        refused = tuple(Refuse.model_validate(r) for r in account["refused"])
        checkpoint = Checkpoint(int(metadata["round"]), load(data), refused, tuple(account["sites"]))
        intact = checkpoint.model == metadata["model"]
    except Exception as err:  # safetensors has its own error class; any failure to read is damage
        raise CheckpointError(f"{path}: the checkpoint is damaged; {remedy}") from err
    if not intact:
        raise CheckpointError(f"{path}: the checkpoint's weights are not the ones saved; {remedy}")
    return checkpoint
