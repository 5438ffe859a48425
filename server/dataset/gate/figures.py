"""What the gate keeps of one case: small figures, so that a data set of any size goes through it. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from server.dataset.gate.agreement import brightness, map_faults, pairs_of
from server.dataset.gate.alike import Shape, Slice, lesion_shape, middle_slice
from shared.imaging.scan import Role, Scan, Volume

_NOT_COMPARED = (Role.ANATOMY, Role.BRAIN)  # labels of public phantoms, or of images compared themselves


@dataclass(frozen=True)
class Figures:
    """Of one case."""

    name: str
    edge: int  # the shorter of the two in the plane, voxels
    flat: tuple[Role, ...]  # images and series whose voxels are all one value
    labelled: Mapping[Role, int]  # voxels of each label
    digests: Mapping[Role, str]  # of what was drawn: images, or lesions without any
    brightness: Mapping[Role, float]  # of each label that is declared to be bright
    maps: tuple[str, ...]  # what is wrong with perfusion maps
    slices: Mapping[Role, Slice] = field(default_factory=dict)  # of images that are compared for collapse
    lesion: Shape | None = None


def figures_of(name: str, scan: Scan, *, compared: bool) -> Figures:
    """Return the figures of a case; `compared` says whether it is among those whose pairs are compared."""
    volumes = scan.volumes
    images = {role: v for role, v in volumes.items() if not (role.is_label or role.is_series)}
    masks = {role: v for role, v in volumes.items() if role.is_label and role not in _NOT_COMPARED}
    lesion = volumes.get(Role.LESION)
    has_lesion = lesion is not None and bool(lesion.any())
    return Figures(
        name=name,
        edge=min(scan.shape[:2]),
        flat=tuple(role for role, v in volumes.items() if not role.is_label and v.min() == v.max()),
        labelled={role: int((v > 0).sum()) for role, v in volumes.items() if role.is_label},
        digests={role: _digest(v) for role, v in (images or masks).items()},
        brightness={role: brightness(*pair) for role, pair in pairs_of(scan).items()},
        maps=tuple(map_faults(scan)),
        slices={role: middle_slice(v) for role, v in images.items()} if compared else {},
        lesion=lesion_shape(lesion, scan.spacing) if compared and has_lesion and lesion is not None else None,
    )


def _digest(volume: Volume) -> str:
    return hashlib.sha256(repr(volume.shape).encode() + volume.tobytes()).hexdigest()
