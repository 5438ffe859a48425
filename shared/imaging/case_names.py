"""How the files of synthetic cases are named: as BIDS derivatives (1.11) wherever BIDS has the modality.

BIDS has no series of a contrast bolus and no perfusion maps: their names are BIDS-like, and a validator is told to
leave them alone. A diffusion-weighted image without directions is what BIDS calls a trace-weighted one.
"""

from collections.abc import Collection
from pathlib import Path

from shared.imaging.scan import Role

SYNTHETIC = "synthetic"  # how volumes of data sets came about
NOT_BIDS = "perf"  # the folder of what BIDS has no names for
_NAMES = {Role.ANATOMY: "seg-anatomy_dseg", Role.DWI: "trace"}  # where BIDS wants another name than the role's


def stem(role: Role, made: str = SYNTHETIC) -> str:
    """Return what the files of a role are called, less the case and the ending.

    >>> stem(Role.VESSELS), stem(Role.DWI)
    ('label-vessels_desc-synthetic_mask', 'desc-synthetic_trace')
    """
    *entity, suffix = _NAMES.get(role, role.value).rsplit("_", 1)
    return "_".join([*entity, f"desc-{made}", suffix])


def subfolder(roles: Collection[Role]) -> str:
    """Return the folder that a case with these roles has its files in: BIDS calls it the data type."""
    if any(role.is_series or role.is_map for role in roles):
        return NOT_BIDS
    return "dwi" if Role.DWI in roles else "anat"


def case_file(name: str, role: Role, roles: Collection[Role], made: str = SYNTHETIC) -> str:
    """Return the file of a role of the case `name`, relative to the data set; `roles` are all of the case."""
    return f"{name}/{subfolder(roles)}/{name}_{stem(role, made)}.nii.gz"


def case_files(folder: Path, role: Role) -> list[Path]:
    """Return the files of a role in a data set, in order of case."""
    return sorted(folder.glob(f"sub-*/*/sub-*_{stem(role)}.nii.gz"))


def beside(path: Path, role: Role, other: Role) -> Path:
    """Return the file of the role `other` of the case that `path` is the file of `role` of."""
    return path.with_name(path.name.removesuffix(f"{stem(role)}.nii.gz") + f"{stem(other)}.nii.gz")
