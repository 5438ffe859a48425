"""Checkpoints: whole or not at all, and damage is found."""

import errno
from pathlib import Path

import pytest
import torch

from server.run.checkpoint import KEEP, Checkpoint, latest, path_of, read_checkpoint, save_checkpoint
from shared.errors import CheckpointError
from shared.ledger.events import Refuse

REFUSED = Refuse(run="r", site="site-b", by="coordinator", round=1, code="protocol", reason="not finite")


def made(round_: int) -> Checkpoint:
    return Checkpoint(round_, {"w": torch.full((64,), float(round_))}, (REFUSED,), ("site-a", "site-c"))


def test_what_is_read_is_what_was_saved(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, made(3))
    read = latest(tmp_path)
    assert (read.round, read.sites, read.refused, read.model) == (3, made(3).sites, (REFUSED,), made(3).model)
    assert torch.equal(read.arrays["w"], made(3).arrays["w"])


def test_only_the_last_few_are_kept(tmp_path: Path) -> None:
    for round_ in range(5):
        save_checkpoint(tmp_path, made(round_))
    assert [p.name for p in sorted(tmp_path.iterdir())] == [path_of(tmp_path, r).name for r in range(5 - KEEP, 5)]


@pytest.mark.parametrize("place", [0, 40, -1], ids=["length", "header", "weights"])
def test_a_flipped_byte_is_found_and_the_file_named(tmp_path: Path, place: int) -> None:
    path = save_checkpoint(tmp_path, made(1))
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=path.name):
        read_checkpoint(path)


def test_a_truncated_file_is_found(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, made(1))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="damaged"):
        latest(tmp_path)


def test_a_full_disk_leaves_the_checkpoint_before_and_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path, made(1))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("shared.files.os.fsync", full)
        with pytest.raises(CheckpointError, match=r"round-00002.*free space"):
            save_checkpoint(tmp_path, made(2))
    assert latest(tmp_path).round == 1
    assert [p.name for p in tmp_path.iterdir()] == ["round-00001.safetensors"]


def test_no_checkpoint_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="without --resume"):
        latest(tmp_path)
