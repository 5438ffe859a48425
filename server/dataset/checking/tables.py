"""The tables and records of a data set, compared with the images that were read."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from server.audit.checks import guarded
from server.dataset.files import training
from server.dataset.files.bids import DESCRIPTION, label_table, participants, stripped
from server.dataset.files.cases import Case
from server.dataset.files.croissant import CROISSANT, PRIVACY
from server.dataset.files.manifest import TABLE, manifest_table, name_of
from server.dataset.files.seal import sha256
from server.dataset.files.text import Row, table_bytes
from shared.imaging.case_names import NOT_BIDS, stem, subfolder
from shared.imaging.scan import Role
from shared.ledger.finding import Finding

_BASICS = ("Name", "BIDSVersion", "License", "GeneratedBy", "SourceDatasets")


def check_tables(folder: Path, cases: Sequence[Case]) -> Iterator[Finding]:
    """Yield a finding for each kind of table."""
    checks: dict[str, Callable[[Path, Sequence[Case]], list[str]]] = {
        "manifest.tsv and participants.tsv list the same cases and files": _lists,
        "dataset.json and metadata.csv name the same files": _training,
        "croissant.json is of this manifest, and makes the same claim": _croissant,
        "the description and sidecars that BIDS asks for are there, and right": _bids,
    }
    for check, question in checks.items():
        yield guarded(check, lambda c=check, q=question: Finding.of(c, q(folder, cases), f"{len(cases)} cases"))  # type: ignore[misc]


def _lists(folder: Path, cases: Sequence[Case]) -> list[str]:
    names = [case.name for case in cases]
    problems = _table_problems(folder, TABLE, manifest_table(folder, cases))
    problems += _table_problems(folder, "participants.tsv", participants(names))
    folders = {path.name for path in folder.glob("sub-*") if path.is_dir()}
    return problems + [f"{name} is a folder, but no case" for name in sorted(folders - set(names))]


def _training(folder: Path, cases: Sequence[Case]) -> list[str]:
    about = _object(folder / training.DECATHLON)
    right = {"training": training.training(cases), "test": [], "numTraining": len(cases), "file_ending": ".nii.gz"}
    right |= training.interface(sorted({role for case in cases for role in case.files}))
    if tasks := training.tasks(cases):
        right["dataset"] = tasks
    problems = [f"{training.DECATHLON}: {key} is something else" for key in right if about.get(key) != right[key]]
    return problems + _table_problems(folder, training.FOLDER, training.folder_table(cases))


def _croissant(folder: Path, cases: Sequence[Case]) -> list[str]:
    about = _object(folder / CROISSANT)
    objects = {o["@id"]: (o["contentUrl"], o["sha256"]) for o in about["distribution"]}
    problems = ["its one file is not manifest.tsv as it is"] * (
        objects != {TABLE: (TABLE, sha256(folder / TABLE))}
    )
    columns = [field["source"]["extract"]["column"] for field in about["recordSet"][0]["field"]]
    if sorted(columns) != sorted(manifest_table(folder, cases)[0]):
        problems.append("its fields are not the columns of manifest.tsv")
    claims = _object(folder / DESCRIPTION)["DifferentialPrivacy"]
    said = " ".join(about[PRIVACY])
    missing = [words for words in (claims["maximum"]["text"], claims["condition"]) if words not in said]
    return problems + [f"{PRIVACY} lacks: {words}" for words in missing]


def _bids(folder: Path, cases: Sequence[Case]) -> list[str]:
    about = _object(folder / DESCRIPTION)
    problems = [f"{DESCRIPTION} lacks {key}" for key in _BASICS if not about.get(key)]
    problems += [f"{DESCRIPTION} is of no derivative"] * (about.get("DatasetType") != "derivative")
    problems += [f"{DESCRIPTION} does not say Synthetic"] * (about.get("Synthetic") is not True)
    roles = sorted({role for case in cases for role in case.files})
    if Role.ANATOMY in roles:
        problems += _table_problems(folder, f"{stem(Role.ANATOMY)}.tsv", label_table())
    if subfolder(roles) != NOT_BIDS:
        for role in (role for role in roles if not role.is_label):
            if _object(folder / f"{stem(role)}.json").get("SkullStripped") is not stripped(cases):
                problems.append(f"{name_of(role)}: its sidecar is wrong about SkullStripped")
    return problems


def _table_problems(folder: Path, name: str, right: Sequence[Row]) -> list[str]:
    same = (folder / name).read_bytes() == table_bytes(right, Path(name).suffix)
    return [] if same else [f"{name} says something else"]


def _object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        OSError, ValueError: it cannot be read, or is no object.
    """
    value = json.loads(path.read_bytes())
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} is no JSON object")
    return value
