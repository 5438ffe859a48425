"""What is moved is at one of the two places whole, on one disk or from one to another."""

import errno
import os
from pathlib import Path

import pytest

from shared.errors import UsageError
from shared.files import move_durably


@pytest.fixture(params=["folder", "file"])
def what(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "here" / "it"
    inside = path / "sub" / "a" if request.param == "folder" else path
    inside.parent.mkdir(parents=True)
    inside.write_text("content")
    return path


def content(path: Path) -> list[str]:
    return [p.read_text() for p in [path, *path.rglob("*")] if p.is_file()]


@pytest.mark.parametrize("disks", [1, 2])
def test_it_is_there_afterwards_and_here_no_more(
    disks: int, what: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to, rename = tmp_path / "there" / "new" / "it", os.rename

    def across(source: Path, target: Path) -> None:
        if disks == 2 and Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "another disk")
        rename(source, target)

    monkeypatch.setattr(os, "rename", across)
    move_durably(what, to)
    assert content(to) == ["content"]
    assert not what.exists()
    assert [path.name for path in to.parent.iterdir()] == ["it"]


def test_what_is_there_is_left_alone(what: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        move_durably(what, tmp_path / "there")
    assert content(what) == ["content"]


def test_a_move_that_fails_leaves_it_where_it_was(
    what: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="no space left"):
        move_durably(what, tmp_path / "there")
    assert content(what) == ["content"]
    assert not (tmp_path / "there").exists()
