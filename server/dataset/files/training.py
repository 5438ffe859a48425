"""dataset.json and metadata.csv: image and label of every case, as frameworks that train on them read them.

`dataset.json` is read by MONAI (the form of the Medical Segmentation Decathlon) and by nnU-Net v2 (the key
`dataset`); `metadata.csv` by Hugging Face's `niftifolder`. Paths are relative to the data set.
"""

from collections.abc import Sequence
from pathlib import Path

from server.dataset.files.cases import Case
from server.dataset.files.contents import LICENCE, LIMITS, Contents
from server.dataset.files.manifest import name_of
from server.dataset.files.text import Row, write_json, write_table
from shared.canonical import Json
from shared.imaging.scan import Role

DECATHLON, FOLDER = "dataset.json", "metadata.csv"
_TARGETS = (Role.LESION, Role.VESSELS, Role.BRAIN)  # what is segmented: the first that there is


def write_training(folder: Path, made: Contents) -> None:
    """Write both files."""
    write_json(folder / DECATHLON, decathlon(made))
    write_table(folder / FOLDER, folder_table(made.cases))


def channels(roles: Sequence[Role]) -> list[Role]:
    """Return what a network would be given: the images, less series over time."""
    return [role for role in sorted(roles) if not (role.is_label or role.is_series)]


def target(roles: Sequence[Role]) -> Role | None:
    """Return the label that a network would be asked for."""
    return next((role for role in _TARGETS if role in roles), None)


def decathlon(made: Contents) -> dict[str, Json]:
    """Return dataset.json; a data set of labels alone, or of images alone, has no task for nnU-Net."""
    about: dict[str, Json] = {
        "name": made.title,
        "description": f"Synthetic; no image shows a person. {LIMITS}",
        "reference": f"Willis run {made.run}",
        "licence": LICENCE,
        "release": "1.0.0",
        "tensorImageSize": "3D",
        **interface(made.roles),
        "file_ending": ".nii.gz",
        "numTraining": len(made.cases),
        "numTest": 0,
        "training": training(made.cases),
        "test": [],
    }
    if nnunet := tasks(made.cases):
        about["dataset"] = nnunet
    return about


def interface(roles: Sequence[Role]) -> dict[str, Json]:
    """Return what goes into a network and what comes out."""
    images, label = channels(roles), target(roles)
    return {
        "modality": {str(number): "MRI" for number in range(len(images))},
        "channel_names": {str(number): name_of(role) for number, role in enumerate(images)},
        "labels": {"background": 0, name_of(label): 1} if label else {},
    }


def training(cases: Sequence[Case]) -> list[Json]:
    """Return {image, label} of every case; `image` is a list where there are several."""
    found: list[Json] = []
    for case in cases:
        images = [case.files[role] for role in channels(list(case.files))]
        label = target(list(case.files))
        pair: dict[str, Json] = {"image": images[0] if len(images) == 1 else [*images]} if images else {}
        found.append(pair | ({"label": case.files[label]} if label else {}))
    return found


def tasks(cases: Sequence[Case]) -> dict[str, Json]:
    """Return case -> {images, label}, the key `dataset` of nnU-Net v2."""
    found: dict[str, Json] = {}
    for case in cases:
        label = target(list(case.files))
        images: list[Json] = [case.files[role] for role in channels(list(case.files))]
        if label and images:
            found[case.name] = {"images": images, "label": case.files[label]}
    return found


def folder_table(cases: Sequence[Case]) -> list[Row]:
    """Return metadata.csv as rows: one a case, with the file of every role in a column of its own."""
    roles = sorted({role for case in cases for role in case.files})
    header = ("participant_id", *(f"{name_of(role)}_file_name" for role in roles))
    return [header, *((case.name, *(case.files.get(role, "") for role in roles)) for case in cases)]
