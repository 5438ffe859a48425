"""Any diffusion-weighted image, with lesions marked by a network that synthetic cases trained."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from shared.errors import UsageError
from shared.evaluation.lesion_outline import outline, outline_figure
from shared.evaluation.stroke_utility import Row
from shared.imaging import nifti
from shared.imaging.scan import Role, Scan
from simulations.evaluation.vessels import SYNTHETIC

DISCLAIMER = "Research use only; not for diagnosis."


def read_images(paths: Sequence[Path]) -> dict[str, Scan]:
    """Return the images by name.

    Raises:
        CohortError: a file cannot be read, or is no volume.
        UsageError: two have one name.
    """
    found = {}
    for path in paths:
        name = path.name.removesuffix(".gz").removesuffix(".nii")
        if name in found:
            raise UsageError(f"--outline {path}: another image is called {name}; rename one of them")
        image, affine = nifti.read(path)
        found[name] = Scan({Role.DWI: image}, affine)
    return found


def outline_images(
    rows: Sequence[Row], scans: Mapping[str, Scan], spacing: tuple[float, float, float], target: Path, note: str
) -> Iterator[Path]:
    """Write a mask for each image and one figure beside `target`, by the first network of the data set.

    Yields what was written.
    """
    network = next(row for row in rows if row.name == SYNTHETIC).networks[0]
    found = {name: (scan, outline(network, scan, spacing)) for name, scan in scans.items()}
    for name, (scan, mask) in found.items():
        path = target.with_name(f"{target.stem}-{name}-lesion.nii.gz")
        nifti.write(path, mask.astype(np.uint8), scan.affine, f"predicted lesion. {DISCLAIMER}")
        yield path
    picture = target.with_name(f"{target.stem}-outlines.png")
    picture.write_bytes(outline_figure(found, note))
    yield picture
