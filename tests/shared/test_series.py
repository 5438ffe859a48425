"""Series of volumes: frames and timing come back, and what cannot be read rightly is refused with a remedy."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from shared.errors import CohortError
from shared.imaging import nifti
from shared.imaging.scan import Timing
from shared.imaging.series import MIN_FRAMES, read_series, sidecar, write_series

AFFINE = np.diag([2.0, 2.0, 6.0, 1.0])
TIMING = Timing(repetition_s=1.5, echo_s=0.03)


def frames(count: int = MIN_FRAMES) -> NDArray[np.int16]:
    return np.random.default_rng(0).integers(1, 900, (4, 5, 3, count)).astype(np.int16)


def stored(
    path: Path, voxels: NDArray[np.generic], step: float = 0.0, unit: str | None = None, **fields: Any
) -> Path:
    """Write a series by nibabel alone, as other tools would, with a sidecar of `fields` if there are any."""
    image = nib.Nifti1Image(voxels, AFFINE)
    image.header.set_xyzt_units("mm", unit)
    image.header["pixdim"][voxels.ndim] = step
    nib.save(image, path)
    if fields:
        sidecar(path).write_text(json.dumps(fields))
    return path


@pytest.mark.parametrize("name", ["x_dsc.nii.gz", "x_dsc.nii"])
def test_what_is_written_comes_back(tmp_path: Path, name: str) -> None:
    if name.endswith(".gz"):
        write_series(tmp_path / name, frames(), AFFINE, TIMING)
    else:
        stored(tmp_path / name, frames(), RepetitionTime=1.5, EchoTime=0.03)
    voxels, affine, timing = read_series(tmp_path / name)
    assert voxels.dtype == np.float32
    assert np.array_equal(voxels, frames())
    assert np.array_equal(affine, AFFINE)
    assert timing == TIMING


def test_other_tools_read_the_time_between_frames(tmp_path: Path) -> None:
    write_series(tmp_path / "x_dsc.nii.gz", frames(), AFFINE, TIMING)
    header = nib.load(tmp_path / "x_dsc.nii.gz").header
    assert header.get_xyzt_units() == ("mm", "sec")
    assert header.get_zooms() == (2.0, 2.0, 6.0, 1.5)
    assert json.loads((tmp_path / "x_dsc.json").read_text()) == {"RepetitionTime": 1.5, "EchoTime": 0.03}


def test_frames_along_a_fifth_axis_are_the_same_series(tmp_path: Path) -> None:
    """As ISLES 2017 stores them."""
    path = stored(tmp_path / "x.nii", frames()[:, :, :, None], RepetitionTime=2.0, EchoTime=0.04)
    voxels, _, timing = read_series(path)
    assert np.array_equal(voxels, frames())
    assert timing == Timing(2.0, 0.04)


@pytest.mark.parametrize(("step", "unit"), [(1.8, "sec"), (1800.0, "msec"), (1.8e6, "usec")])
def test_the_header_says_the_time_between_frames_where_the_sidecar_does_not(
    step: float, unit: str, tmp_path: Path
) -> None:
    path = stored(tmp_path / "x.nii", frames(), step, unit, EchoTime=0.03)
    assert read_series(path)[2].repetition_s == pytest.approx(1.8)


def test_the_sidecar_is_believed_before_the_header(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.nii", frames(), 2.5, "sec", RepetitionTime=1.5, EchoTime=0.03)
    assert read_series(path)[2] == TIMING


@pytest.mark.parametrize(
    ("step", "unit"), [(1.5, None), (1500.0, "sec"), (0.0, "sec"), (1.5, "hz"), (np.nan, "sec")]
)
def test_a_header_that_is_not_plausible_says_nothing(step: float, unit: str | None, tmp_path: Path) -> None:
    path = stored(tmp_path / "x.nii", frames(), step, unit, EchoTime=0.03)
    with pytest.raises(CohortError, match=r"x\.nii: RepetitionTime is not known.*; write it, .* into x\.json"):
        read_series(path)


@pytest.mark.parametrize("value", [0, 60, [1.5], float("nan"), float("inf")])
def test_a_sidecars_time_that_cannot_be_is_refused_whatever_the_header_says(value: object, tmp_path: Path) -> None:
    path = stored(tmp_path / "x.nii", frames(), 1.5, "sec", RepetitionTime=value, EchoTime=0.03)
    with pytest.raises(CohortError, match=r"x\.json: RepetitionTime is .*, not .*seconds"):
        read_series(path)


@pytest.mark.parametrize(("text", "sentence"), [("{", "not readable JSON"), ("[1]", "not a JSON object")])
def test_a_damaged_sidecar_is_named(text: str, sentence: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "x.nii", frames())
    sidecar(path).write_text(text)
    with pytest.raises(CohortError, match=rf"x\.json: {sentence}"):
        read_series(path)


@pytest.mark.parametrize("shape", [(4, 5, 3), (4, 5), (4, 5, 3, 2, 20), (4, 5, 3, 1, 20, 2)])
def test_what_is_no_series_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = stored(tmp_path / "x.nii", np.ones(shape, np.float32))
    with pytest.raises(CohortError, match=r"shape .* is not a 4D series \(all its frames, not one or a map\)"):
        read_series(path)


def test_a_series_of_few_frames_is_refused(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.nii", frames(MIN_FRAMES - 1), RepetitionTime=1.5, EchoTime=0.03)
    with pytest.raises(CohortError, match=f"{MIN_FRAMES - 1} frames; at least {MIN_FRAMES} are needed"):
        read_series(path)


def test_frames_without_any_signal_are_refused(tmp_path: Path) -> None:
    voxels = frames()
    voxels[..., [7, 9]] = 0
    path = stored(tmp_path / "x.nii", voxels, RepetitionTime=1.5, EchoTime=0.03)
    with pytest.raises(CohortError, match="2 of 20 frames are all zero, the first is number 7 from 0; cut"):
        read_series(path)


def test_voxels_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    voxels = frames().astype(np.float32)
    voxels[1, 1, 1, 3:6] = np.nan
    with pytest.raises(CohortError, match="3 voxels are NaN or infinite"):
        read_series(stored(tmp_path / "x.nii", voxels, RepetitionTime=1.5, EchoTime=0.03))


def test_a_series_is_no_volume(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="is not a 3D volume"):
        nifti.read(stored(tmp_path / "x.nii", frames()))
