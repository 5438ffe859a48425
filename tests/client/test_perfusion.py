"""`willis perfusion`: what it writes, and one clear line for everything it cannot use."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from shared.imaging import nifti
from shared.imaging.perfusion.rigid import STILL, Pose
from shared.imaging.series import sidecar, write_series
from tests.commands import Outcome, willis
from tests.moving_head import EDGES, FRAMES, MovingHead
from tests.perfusion import LATE, MM, Head, labels_of

MAPS = {"cbf", "cbv", "mtt", "tmax", "ttp", "brain"}
DISCLAIMER = "Research use only; not for diagnosis."


@pytest.fixture(scope="module")
def frames() -> NDArray[np.float32]:
    return Head().series()


@pytest.fixture
def series(frames: NDArray[np.float32], tmp_path: Path) -> Path:
    return written(tmp_path, frames)


@pytest.fixture(scope="module")
def made(frames: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    """What the command said of the series and a core, and the folder it made."""
    folder = tmp_path_factory.mktemp("made")
    core = mask(folder / "core.nii.gz", (labels_of() == LATE) & (np.indices(labels_of().shape)[0] > 19))
    return willis("perfusion", written(folder, frames), folder / "maps", "--core", core), folder / "maps"


def written(folder: Path, frames: NDArray[np.float32]) -> Path:
    path = folder / "sub-1_dsc.nii.gz"
    write_series(path, frames, MM, Head().timing)
    return path


def save(path: Path, voxels: NDArray[np.generic], *, step: float = 0.0, unit: str = "unknown") -> Path:
    """Write a series as another tool would, without a sidecar, with a time between frames in the header."""
    image = nib.Nifti1Image(voxels, MM)
    image.header.set_xyzt_units("mm", unit)
    image.header["pixdim"][voxels.ndim] = step
    nib.save(image, path)
    return path


def mask(path: Path, voxels: NDArray[np.bool_], affine: NDArray[np.float64] = MM) -> Path:
    nifti.write(path, voxels.astype(np.uint8), affine)
    return path


def test_everything_is_written_and_says_that_it_is_for_research(made: tuple[Outcome, Path]) -> None:
    done, out = made
    assert done.status == 0
    assert DISCLAIMER in done.said
    assert any("CBF and CBV are relative" in line for line in done.complained)
    assert {path.name for path in out.iterdir()} == {f"{name}.nii.gz" for name in MAPS} | {
        "perfusion.json",
        "report.png",
    }
    for name in MAPS:
        image = nib.load(out / f"{name}.nii.gz")
        assert image.get_data_dtype() == np.float32
        assert np.allclose(image.affine, MM)
        assert bytes(image.header["descrip"]).decode().startswith(DISCLAIMER)
    told = json.loads((out / "perfusion.json").read_text())
    assert told["disclaimer"] == DISCLAIMER
    assert told["series"] == "sub-1_dsc.nii.gz"
    assert (told["repetition_time_s"], told["echo_time_s"]) == (1.5, 0.03)
    assert (told["deconvolution"]["method"], told["deconvolution"]["limit"]) == ("osvd", 0.035)
    assert len(told["arterial_input"]["curve_per_s"]) == 60
    assert told["maps"]["cbf"]["unit"] == "ml/100 g/min"
    assert told["mismatch"]["mismatch_ratio"] > 1
    assert imread(out / "report.png").shape[0] > 800
    assert not any("leak" in line for line in done.complained)


def test_what_is_there_is_never_overwritten(series: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps"
    out.mkdir()
    (out / "mine.txt").write_text("precious")
    assert "exists already; remove it or name another folder" in willis("perfusion", series, out).sentence()
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_a_failure_leaves_nothing_behind(series: Path, tmp_path: Path) -> None:
    willis("perfusion", series, tmp_path / "maps", "--aif", 0, 0, 0).sentence()
    assert {path.name for path in tmp_path.iterdir()} == {series.name, sidecar(series).name}


def test_isles_2017_layout_gives_the_same_maps(
    made: tuple[Outcome, Path], frames: NDArray[np.float32], tmp_path: Path
) -> None:
    five = save(tmp_path / "five.nii", frames[:, :, :, None])
    assert willis("perfusion", five, tmp_path / "maps", "--tr", 1.5, "--te", 0.03).status == 0
    for name in MAPS:
        assert (tmp_path / "maps" / f"{name}.nii.gz").read_bytes() == (made[1] / f"{name}.nii.gz").read_bytes()


def test_what_is_given_wins_over_the_sidecar_and_the_header_and_says_so(series: Path, tmp_path: Path) -> None:
    done = willis("perfusion", series, tmp_path / "maps", "--tr", 1.6, "--colours", "uniform")
    assert done.status == 0
    assert "note: RepetitionTime 1.6 s was given; 1.5 of sub-1_dsc.json is not used" in done.complained
    assert "note: the header says 1.5 s between frames; 1.6 s is used" in done.complained


@pytest.mark.parametrize(
    ("step", "unit", "options", "why"),
    [
        (0, "unknown", ("--te", 0.03), "RepetitionTime is not known; write it, in seconds, into x.json"),
        (1500, "sec", ("--te", 0.03), "the header says 1500 s between frames, which looks like milliseconds"),
        (1.5, "sec", (), "EchoTime is not known; write it, in seconds, into x.json"),
        (1.5, "sec", ("--te", 30), "EchoTime is 30, not 0.002 to 0.2 seconds; that looks like milliseconds"),
        (1.5, "sec", ("--te", 0.03, "--tr", 1500), "RepetitionTime is 1500, not 0.2 to 10 seconds"),
        (1.5, "sec", ("--te", "nan"), "EchoTime is nan, not a positive number"),
    ],
)
def test_times_that_cannot_be_used_are_one_clear_line(
    frames: NDArray[np.float32], tmp_path: Path, step: float, unit: str, options: tuple[object, ...], why: str
) -> None:
    path = save(tmp_path / "x.nii", frames, step=step, unit=unit)
    assert why in willis("perfusion", path, tmp_path / "maps", *options).sentence()


def spoilt(frames: NDArray[np.float32], how: str) -> NDArray[np.float32]:
    frames = frames.copy()
    match how:
        case "3D":
            return frames[..., 0]
        case "few":
            return frames[..., :12]
        case "empty frames":
            frames[..., 30:33] = 0
        case "no bolus":
            frames = np.repeat(frames[..., 3:4], 60, axis=3)
        case "saturated":
            frames = Head(vessel=60.0).series()
        case "no brain":
            frames[1:] = 0
    return frames


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("3D", "is not a 4D series (all its frames, not one or a map)"),
        ("few", "12 frames; at least 20 are needed"),
        ("empty frames", "3 of 60 frames are all zero, the first is number 30"),
        ("no bolus", "no bolus: the brain's signal falls by 0.0 %"),
        ("saturated", "voxels are saturated: their signal falls to the noise); look for an artery in the series"),
        ("no brain", "no brain is found in the mean image; give a mask of it"),
    ],
)
def test_series_that_cannot_be_used_are_one_clear_line(
    frames: NDArray[np.float32], tmp_path: Path, how: str, why: str
) -> None:
    path = save(tmp_path / "x.nii", spoilt(frames, how), step=1.5, unit="sec")
    sentence = willis("perfusion", path, tmp_path / "maps", "--te", 0.03).sentence()
    assert why in sentence
    assert "x.nii" in sentence


@pytest.mark.parametrize(
    ("voxel", "why"),
    [((0, 0, 0), "is outside the brain"), ((24, 0, 0), "is outside the image of 24 x 24 x 4 voxels")],
)
def test_arterial_voxels_outside_are_one_clear_line(
    series: Path, tmp_path: Path, voxel: tuple[int, int, int], why: str
) -> None:
    assert why in willis("perfusion", series, tmp_path / "maps", "--aif", *voxel).sentence()


def refused(series: Path, tmp_path: Path, *options: object) -> str:
    return willis("perfusion", series, tmp_path / "maps", *options).sentence()


def test_masks_that_do_not_fit_are_one_clear_line(series: Path, tmp_path: Path) -> None:
    small = mask(tmp_path / "small.nii.gz", np.ones((12, 24, 4), bool))
    moved = mask(tmp_path / "moved.nii.gz", np.ones((24, 24, 4), bool), np.diag([2.0, 2.0, 2.0, 1.0]))
    empty = mask(tmp_path / "empty.nii.gz", np.zeros((24, 24, 4), bool))
    assert "resample it onto that" in refused(series, tmp_path, "--mask", small)
    assert "its affine differs" in refused(series, tmp_path, "--core", moved)
    assert "brain mask is empty" in refused(series, tmp_path, "--mask", empty)
    assert "white-matter mask has no flow" in refused(series, tmp_path, "--white-matter", empty)


def test_only_one_calibration_is_taken(series: Path, tmp_path: Path) -> None:
    assert "one way only" in refused(series, tmp_path, "--kappa", 0.1, "--vein")


@pytest.mark.parametrize("options", [("--kappa", 0), ("--limit", 1), ("--smooth", -1), ("--method", "bayes")])
def test_options_out_of_range_are_refused(series: Path, tmp_path: Path, options: tuple[object, ...]) -> None:
    done: Outcome = willis("perfusion", series, tmp_path / "maps", *options)
    assert done.status == 2
    assert not (tmp_path / "maps").exists()


def test_a_leak_is_warned_of(frames: NDArray[np.float32], tmp_path: Path) -> None:
    tumour = frames.copy()
    tumour[8:14, 16:20, 1:3] *= np.linspace(1, 1.6, 60, dtype=np.float32)  # T1 effect: the signal overshoots
    done = willis("perfusion", written(tmp_path, tumour), tmp_path / "maps")
    assert done.status == 0
    assert any("tracer seems to leak in" in line for line in done.complained)


def test_movement_is_taken_away_if_that_is_asked_and_told(made: tuple[Outcome, Path], tmp_path: Path) -> None:
    moved = MovingHead([STILL] * 30 + [Pose.small(np.array([0, 4.0, 0, 0, 0, 0]))] * (FRAMES - 30)).series()
    path = tmp_path / "moved.nii.gz"
    write_series(path, moved, np.diag([*EDGES, 1.0]), Head().timing)
    done = willis("perfusion", path, tmp_path / "maps", "--align")
    assert done.status == 0, done
    assert any(line.startswith("movement  at most ") for line in done.said)
    told = json.loads((tmp_path / "maps" / "perfusion.json").read_text())["alignment"]
    assert told["largest_translation_mm"] == pytest.approx(4, abs=0.5)
    assert len(told["translations_mm_and_rotations_degrees"]) == FRAMES
    assert json.loads((made[1] / "perfusion.json").read_text())["alignment"] is None
