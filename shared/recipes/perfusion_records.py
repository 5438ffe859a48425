"""One patient's pairs of a bolus' frames and perfusion maps, slice by slice; and maps drawn of frames."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.errors import CohortError
from shared.imaging.orientation import from_ras, upright
from shared.imaging.perfusion.brain import brain_mask
from shared.imaging.perfusion.frames import frames_of
from shared.imaging.perfusion.windows import MAPS, TOPS, from_window, to_window
from shared.imaging.scan import Role, Scan, Volume
from shared.imaging.slices import from_slices, to_slices

ROLES = (Role.DSC, Role.BRAIN, *MAPS)
_AT_ONCE = 4  # slices drawn in one pass, which bounds memory
_VIEWS = ((False, 0), (False, 1), (True, 0), (True, 1))  # whether mirrored, and by how many pixels moved both ways


class PerfusionRecords:
    """The slices with brain of all of a patient's sessions."""

    def __init__(self, slices: Tensor) -> None:
        """Keep slices (n, frames and maps, edge, edge), in 16 bits, for they are large."""
        self._slices = slices.half()

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return (count, frames and maps, edge, edge) float32; the maps are all of `MAPS`."""
        chosen = torch.randint(len(self._slices), (count,), generator=generator)
        return self._slices[chosen].float()


def records(scans: Iterable[Scan], edge: int) -> PerfusionRecords:
    """Return a patient's records; frames are scaled by the patient's own mean, maps by fixed windows.

    Raises:
        CohortError: no bolus is seen in a series.
    """
    return PerfusionRecords(torch.cat([_pairs(upright(scan), edge) for scan in scans]))


def draw_maps(generator: nn.Module, scan: Scan, edge: int, maps: Sequence[Role] = MAPS) -> dict[Role, Volume]:
    """Return the maps (i, j, k), in their units and 0 outside the brain, that a trained generator draws.

    Each slice is drawn in four views, of which the mean is taken. MTT is 60 · CBV / CBF by definition, where all
    three are drawn. Research use only; not for diagnosis.

    Args:
        generator: draws `maps` of slices of `edge` pixels a side, as recipe `perfusion-2d` trains it.
        scan: with a series and its timing; where there is no `Role.BRAIN`, the brain is found in the series.
        edge: see `generator`.
        maps: in the order of the generator's channels.

    Raises:
        CohortError: no brain or no bolus is found in the series, or its timing is not known.
    """
    affine, scan = scan.affine, upright(scan)
    brain = brain_of(scan)
    frames = _frames(scan, brain, edge)
    drawn = torch.full((len(frames), len(maps), edge, edge), -1.0)
    where = next(generator.parameters()).device
    for some in torch.split(torch.from_numpy(np.flatnonzero(brain.any(axis=(0, 1)))), _AT_ONCE):
        with torch.no_grad():
            drawn[some] = _mean_view(generator, frames[some].to(where)).cpu()
    volumes = _to_volumes(drawn, scan.shape)
    inside = {role: np.where(brain, from_window(role, volumes[..., n]), 0) for n, role in enumerate(maps)}
    if {Role.CBF, Role.CBV, Role.MTT} <= inside.keys():
        inside[Role.MTT] = _transit(inside[Role.CBF], inside[Role.CBV])
    return {role: from_ras(volume, affine) for role, volume in inside.items()}


def _mean_view(generator: nn.Module, frames: Tensor) -> Tensor:
    """Return the mean of the maps that are drawn of slices in all `_VIEWS`, each put back to where it was.

    Brains have no handedness that a map could follow from; and networks of stride 2 draw a grid of their own,
    wherever the patient is.
    """
    total = torch.zeros((), device=frames.device)
    for mirrored, moved in _VIEWS:
        flips = [2] if mirrored else []
        seen = torch.roll(frames, (moved, moved), (2, 3)).flip(flips)
        total = total + torch.roll(generator(seen).float().flip(flips), (-moved, -moved), (2, 3))
    return total / len(_VIEWS)


def _transit(flow: Volume, volume: Volume) -> Volume:
    """Return the mean transit time in seconds, at most what a network's window holds; 0 without flow."""
    top = np.float32(TOPS[Role.MTT])
    ratio = np.divide(60 * volume, flow, out=np.zeros_like(flow), where=flow > 0)
    return np.asarray(np.minimum(ratio, top), dtype=np.float32)


def _pairs(scan: Scan, edge: int) -> Tensor:
    """Return slices with brain (n, frames and maps, edge, edge) of one session."""
    brain = brain_of(scan)
    maps = np.stack([to_window(role, np.where(brain, scan.volumes[role], 0)) for role in MAPS], axis=3)
    pairs = torch.cat([_frames(scan, brain, edge), _to_slices(maps, edge, around=-1.0)], dim=1)
    return pairs[torch.from_numpy(brain.any(axis=(0, 1)))]


def brain_of(scan: Scan) -> NDArray[np.bool_]:
    """Return the brain (i, j, k), as the scan has it or as it is found in the series' mean."""
    if Role.BRAIN in scan.volumes:
        return scan.volumes[Role.BRAIN] > 0
    return brain_mask(scan.volumes[Role.DSC][..., 1:].mean(axis=3))


def _frames(scan: Scan, brain: NDArray[np.bool_], edge: int) -> Tensor:
    """Return slices (k, frames, edge, edge) of what a network sees of a series."""
    if scan.timing is None:
        raise CohortError("the series has no timing; give repetition and echo time in a JSON sidecar beside it")
    return _to_slices(frames_of(scan.volumes[Role.DSC], brain, scan.timing), edge)


def _to_slices(volumes: Volume, edge: int, around: float = 0.0) -> Tensor:
    """Return slices (k, c, edge, edge) of c volumes (i, j, k, c)."""
    i, j, k, c = volumes.shape
    slices = to_slices(volumes.reshape(i, j, k * c), edge, around=around)
    return torch.from_numpy(slices.reshape(k, c, edge, edge))


def _to_volumes(slices: Tensor, shape: tuple[int, int, int]) -> Volume:
    """Return c volumes (i, j, k, c) of slices (k, c, edge, edge) that `_to_slices` took."""
    i, j, k = shape
    c = slices.shape[1]
    return from_slices(slices.flatten(0, 1).numpy(), (i, j, k * c)).reshape(i, j, k, c)
