"""Small published data sets of every kind of case, with the keys of `tests.server.ledgers`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.dataset.files.seal import NAMESPACE, SIGNATURE, SUMS, sums_of
from server.dataset.publication import publish
from server.run.folder import RunFolder
from shared.imaging.scan import Role, Scan, Timing
from shared.sshsig import ssh_sign
from tests.server.ledgers import COORDINATOR, Story, store_at

AFFINE = np.diag([0.6, 0.6, 0.8, 1.0])
WIDE = np.diag([12.0, 12.0, 14.0, 1.0])  # mm: few voxels, and lesions that the gate can tell apart


def vessels() -> Iterator[Scan]:
    """Yield two thin volumes, as 2D patches are published."""
    rng = np.random.default_rng(5)
    for _ in range(2):
        image = rng.random((16, 12, 1), dtype=np.float32)
        yield Scan({Role.ANGIO: image, Role.VESSELS: _mask(image)}, AFFINE)


def strokes() -> Iterator[Scan]:
    """Yield two images that are 0 outside the brain, with anatomy and lesion."""
    rng = np.random.default_rng(6)
    anatomy = np.zeros((8, 8, 4), np.float32)
    anatomy[2:6, 2:6] = 2
    anatomy[4, 4] = 41
    for lesion in (np.s_[2:4, 2:6, 1:3], np.s_[3:5, 3:4, :]):
        image = rng.random(anatomy.shape, dtype=np.float32) * (anatomy > 0)
        mask = np.zeros_like(anatomy)
        mask[lesion] = 1
        yield Scan({Role.DWI: image + mask, Role.ANATOMY: anatomy, Role.LESION: mask}, WIDE)


def perfusion() -> Iterator[Scan]:
    """Yield one series with two maps."""
    rng = np.random.default_rng(7)
    series = rng.uniform(100, 200, (8, 8, 3, 24)).astype(np.float32)
    flow, volume = rng.uniform(1, 60, (2, 8, 8, 3)).astype(np.float32)
    brain = _mask(flow)
    volumes = {Role.DSC: series, Role.CBF: flow * brain, Role.CBV: volume * brain, Role.BRAIN: brain}
    yield Scan(volumes, AFFINE, Timing(1.5, 0.03))


def lesions() -> Iterator[Scan]:
    """Yield two masks without images."""
    rng = np.random.default_rng(8)
    for _ in range(2):
        yield Scan({Role.LESION: _mask(rng.random((8, 8, 8), dtype=np.float32))}, WIDE)


KINDS: dict[str, Callable[[], Iterator[Scan]]] = {
    "vessels": vessels,
    "strokes": strokes,
    "perfusion": perfusion,
    "lesions": lesions,
}


def released(folder: Path, kind: str = "vessels", story: Story | None = None) -> Path:
    """Publish a data set of a kind from a run in the new `folder`; return where it lies."""
    store = store_at(folder, (story or Story()).events())
    out = publish(RunFolder(folder), folder / "dataset", KINDS[kind](), store=store).path
    store.close()
    return out


def resealed(dataset: Path) -> None:
    """Seal a data set again after a change, as a coordinator that lies would."""
    sums = sums_of(dataset)
    (dataset / SUMS).write_bytes(sums)
    (dataset / SIGNATURE).write_text(ssh_sign(COORDINATOR, NAMESPACE, sums))


def _mask(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return (image > np.quantile(image, 0.8)).astype(np.float32)
