"""What makes a data set a BIDS derivative (Brain Imaging Data Structure 1.11): description, sidecars, labels.

Sidecars lie at the root, once a role, and hold for every case by BIDS' inheritance. What is in `perf/` has no
names in BIDS; `.bidsignore` says so, and lists the files that are Willis' own.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from server.dataset.files.cases import SHEET, Case
from server.dataset.files.contents import LICENCE, MEANING, Contents
from server.dataset.files.seal import PROOF
from server.dataset.files.text import Row, write_json, write_table
from server.dataset.viewer import VIEWER
from shared.canonical import Json
from shared.imaging.anatomy import STRUCTURES
from shared.imaging.case_names import NOT_BIDS, SYNTHETIC, stem, subfolder
from shared.imaging.scan import Role

BIDS_VERSION = "1.11.1"
DESCRIPTION = "dataset_description.json"
_MASKS = {Role.BRAIN: "Brain", Role.LESION: "Lesion", Role.VESSELS: "ROI"}  # BIDS' words for what a mask is of
_OWN = (
    SHEET,
    "manifest.*",
    "checkpoint",
    "ledger.jsonl",
    "SHA256SUMS*",
    "allowed_signers",
    "release.json",
    PROOF,
    "dataset.json",
    "metadata.csv",
    "croissant.json",
    "registry.yaml",
    "zenodo.json",
    VIEWER,
)
_CHANGES = """1.0.0
  - First and only version: a sealed data set is never changed, and further cases are a data set of their own.
"""


def write_bids(folder: Path, made: Contents) -> None:
    """Write everything that BIDS asks for beside the images."""
    write_json(folder / DESCRIPTION, description(made))
    write_table(folder / "participants.tsv", participants([case.name for case in made.cases]))
    write_json(folder / "participants.json", {"synthetic": {"Description": "yes: no such person exists"}})
    what = "made by a generator or a public simulator; shows no person"
    write_table(folder / "descriptions.tsv", [("desc_id", "description"), (f"desc-{SYNTHETIC}", what)])
    for name, fields in sidecars(made).items():
        write_json(folder / name, fields)
    if Role.ANATOMY in made.roles:
        write_table(folder / f"{stem(Role.ANATOMY)}.tsv", label_table())
    (folder / "CHANGES").write_text(_CHANGES)
    (folder / ".bidsignore").write_text("".join(f"{name}\n" for name in [*_OWN, f"sub-*/{NOT_BIDS}"]))


def description(made: Contents) -> dict[str, Json]:
    """Return dataset_description.json; `Synthetic`, `Run` and `DifferentialPrivacy` are Willis' own keys."""
    sites: list[Json] = [
        {"Description": f"images of {site}'s patients ({made.view.enrolled[site].patients} declared); not public"}
        for site in made.view.reserves
    ]
    about = f"run {made.run}: {made.view.run.system}"
    return {
        "Name": made.title,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "License": LICENCE,
        "GeneratedBy": [{"Name": "willis", "Version": version("willis"), "Description": about}],
        "SourceDatasets": sites,
        "Synthetic": True,
        "Run": made.run,
        "DifferentialPrivacy": made.claims,
    }


def participants(names: Sequence[str]) -> list[Row]:
    """Return participants.tsv as rows."""
    return [("participant_id", "synthetic"), *((name, "yes") for name in names)]


def label_table() -> list[Row]:
    """Return the names of the numbers in anatomical maps, as rows."""
    return [("index", "name"), *((str(structure.number), structure.name) for structure in STRUCTURES)]


def stripped(cases: Sequence[Case]) -> bool:
    """Whether every image is known to be 0 outside the brain."""
    return all(case.is_stripped for case in cases)


def sidecars(made: Contents) -> dict[str, dict[str, Json]]:
    """Return file name -> fields of the sidecars at the root, one a role that BIDS has a name for."""
    if subfolder(made.roles) == NOT_BIDS:
        return {}
    found: dict[str, dict[str, Json]] = {}
    for role in made.roles:
        fields: dict[str, Json] = {"Description": MEANING[role]}
        if role in _MASKS:
            fields |= {"Type": _MASKS[role], "Manual": False}
        elif not role.is_label:
            fields["SkullStripped"] = stripped(made.cases)
        found[f"{stem(role)}.json"] = fields
    return found
