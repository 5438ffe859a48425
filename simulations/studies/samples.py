"""A few pairs of every row to look at, and for figures."""

import io
from pathlib import Path

import numpy as np

from shared.evaluation.contact_sheet import contact_sheet
from shared.files import write_durably
from shared.imaging.patches import Patches

FOLDER = "samples"
SHOWN = 12


def keep_samples(out: Path, name: str, pairs: Patches) -> None:
    """Write the first pairs as a contact sheet and as numbers; of volumes, their middle slices."""
    flat = (pairs if pairs.ndim == 4 else pairs[..., pairs.shape[-1] // 2])[:SHOWN]
    write_durably(out / FOLDER / f"{name}.png", contact_sheet([(image, label) for image, label in flat]))
    stream = io.BytesIO()
    np.save(stream, flat.astype(np.float16))
    write_durably(out / FOLDER / f"{name}.npy", stream.getvalue())


def kept_samples(out: Path, name: str) -> Patches:
    """Return the pairs that `keep_samples` wrote."""
    samples: Patches = np.load(out / FOLDER / f"{name}.npy").astype(np.float32)
    return samples
