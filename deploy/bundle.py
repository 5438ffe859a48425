"""The app bundle (Flower's FAB) of the Willis installed here: what a centre sends and a hospital approves.

It holds the packages server, client and shared as they are installed, and nothing else, so that whoever has the
same release has the same bytes.
"""

import hashlib
import importlib.metadata
import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from shared.files import new_folder, write_durably

PACKAGES = ("server", "client", "shared")
SUFFIXES = (".py", ".json")
SERVER_APP, CLIENT_APP = "server.app:app", "client.app:app"

# `flwr run` lets only settings be overridden that are named here; a hospital accepts no other.
RUN_FOLDER = "run-folder"

_PROJECT = """[project]
name = "willis"
version = "{version}"

[tool.flwr.app]
publisher = "willis"
fab-include = [{patterns}]

[tool.flwr.app.components]
serverapp = "{server}"
clientapp = "{client}"

[tool.flwr.app.config]
{setting} = ""
"""


@dataclass(frozen=True)
class Bundle:
    """An app bundle and the folder it was made from.

    Attributes:
        hash: SHA-256 of the bundle, hexadecimal; what a hospital approves.
        path: the bundle.
        app: the folder; `flwr run` makes the same bytes of it.
    """

    hash: str
    path: Path
    app: Path


def build_bundle(folder: Path) -> Bundle:
    """Make the bundle of the Willis installed here: <folder>/<hash>.fab, and its app folder <folder>/<hash>."""
    from flwr.cli.build import build_fab_from_disk  # late: it brings the whole command line of Flower

    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"draft-{os.getpid()}"
    with new_folder(draft) as app:
        _assemble(app)
    try:
        content = build_fab_from_disk(draft)
        name = hashlib.sha256(content).hexdigest()
        made = Bundle(name, folder / f"{name}.fab", folder / name)
        write_durably(made.path, content)
        shutil.rmtree(made.app, ignore_errors=True)
        os.rename(draft, made.app)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return made


def release() -> str:
    """Return the version of the Willis installed here."""
    return importlib.metadata.version("willis")


def _assemble(app: Path) -> None:
    """Copy the installed packages, and describe them as Flower wants an app described."""
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        root = Path(spec.origin).parent
        for path in root.rglob("*"):
            if path.suffix in SUFFIXES:
                target = app / package / path.relative_to(root)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    patterns = ", ".join(f'"**/*{suffix}"' for suffix in SUFFIXES)
    project = _PROJECT.format(
        version=release(), patterns=patterns, server=SERVER_APP, client=CLIENT_APP, setting=RUN_FOLDER
    )
    (app / "pyproject.toml").write_text(project, encoding="utf-8")
