"""What is in an app bundle: read in memory and within limits, whoever sent it; nothing is unpacked to disk."""

import io
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from deploy.bundle import CLIENT_APP, PACKAGES, SERVER_APP, SUFFIXES
from shared.errors import UsageError

MOST_BYTES = 10 * 2**20  # Flower's own limit of a bundle; of all it unpacks to, too
MOST_FILES = 2000
_PROJECT, _LIST = "pyproject.toml", ".info/CONTENT"  # written by Flower


@dataclass(frozen=True)
class Contents:
    """A bundle's files by path, and what it says of itself."""

    files: Mapping[str, bytes]
    app_id: str
    version: str


def read_bundle(content: bytes) -> Contents:
    """Read a bundle.

    Raises:
        UsageError: it is not a zip, is too large, or holds anything but the packages of Willis; says what.
    """
    if len(content) > MOST_BYTES:
        raise UsageError(
            f"the bundle has {len(content)} bytes and at most {MOST_BYTES} are read; do not approve it"
        )
    try:
        files = _unpacked(content)
        project = tomllib.loads(files[_PROJECT].decode())
    except UsageError:
        raise
    except Exception as err:  # a file made to harm fails in any way it likes
        raise UsageError(f"the bundle cannot be read ({err!r:.200}); do not approve it") from err
    return Contents(files, *_described(project))


def _unpacked(content: bytes) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    left = MOST_BYTES
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if len(archive.infolist()) > MOST_FILES:
            raise UsageError(f"the bundle has more than {MOST_FILES} files; do not approve it")
        for entry in archive.infolist():
            _check_name(entry.filename, files)
            with archive.open(entry) as file:
                files[entry.filename] = file.read(left + 1)
            left -= len(files[entry.filename])
            if left < 0:
                raise UsageError(f"the bundle unpacks to more than {MOST_BYTES} bytes; do not approve it")
    return files


def _check_name(name: str, known: Mapping[str, bytes]) -> None:
    """Refuse what could run unseen: compiled modules, other packages, names that lead to another file."""
    parts = PurePosixPath(name).parts
    usual = name in (_PROJECT, _LIST) or (
        len(parts) > 1 and parts[0] in PACKAGES and PurePosixPath(name).suffix in SUFFIXES
    )
    plain = name == "/".join(parts) and ".." not in parts and "\\" not in name and name.isprintable()
    if not usual or not plain or name in known:
        raise UsageError(f"the bundle holds {name!r:.200}, which no bundle of Willis does; do not approve it")


def _described(project: Mapping[str, Any]) -> tuple[str, str]:
    """Return id and version, after checking that the bundle starts Willis and nothing else."""
    try:
        app = project["tool"]["flwr"]["app"]
        components = dict(app["components"])
        described = f"{app['publisher']}/{project['project']['name']}", str(project["project"]["version"])
    except (KeyError, TypeError, ValueError) as err:
        raise UsageError(f"{_PROJECT} of the bundle describes no app of Flower; do not approve it") from err
    if components != {"serverapp": SERVER_APP, "clientapp": CLIENT_APP}:
        raise UsageError(f"the bundle starts {components!r:.200}, not {CLIENT_APP}; do not approve it")
    return described
