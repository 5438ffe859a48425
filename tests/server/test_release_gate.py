"""The gate passes what is whole and varied, and names what is broken: files, repeats, collapse, labels."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from server.dataset.files.cases import write_cases
from server.dataset.gate import checks
from server.dataset.gate.agreement import RIM, brightness, map_faults
from server.dataset.gate.alike import lesion_shape, middle_slice, shapes_alike
from server.dataset.gate.distance import DEMANDS_FILE, Demands, check_distance
from server.dataset.gate.public import public_brightness, public_images, public_lesions
from server.dataset.gate.reading import FILES, check_files, rows
from shared.errors import PublicationRefused, UsageError
from shared.imaging import nifti
from shared.imaging.lesion_grid import from_grid
from shared.imaging.scan import Role, Scan
from shared.phantoms.lesions import simulate_lesions
from shared.phantoms.vessels import draw_parameters, simulate
from shared.recipes.vessel_records import as_scans
from tests.server.answers import answer

CASES = 6


def vessels() -> list[Scan]:
    """Return cases of the public simulator, others than those that give the gate its levels."""
    rng = np.random.default_rng(77)
    drawn = (simulate(theta, 2, 32, rng) for theta in draw_parameters(20, rng))
    scans = as_scans(patch for patches in drawn for patch in patches)
    return [scan for scan in scans if scan.volumes[Role.VESSELS].any()][:CASES]


def lesions() -> list[Scan]:
    masks = (from_grid(grid, spacing_mm=4.0) for grid in simulate_lesions(CASES, np.random.default_rng(77)))
    return [Scan({Role.LESION: mask.astype(np.float32)}, affine) for mask, affine in masks]


def failed(folder: Path, scans: Sequence[Scan], spoil: Callable[[Path], None] = lambda _: None) -> dict[str, str]:
    """Return the checks that fail on these cases as files, with their words."""
    cases = write_cases(folder, scans, prefix="syn", description="")
    (folder / "manifest.json").write_text(json.dumps([case.row() for case in cases]))
    spoil(folder)
    read = rows(folder)
    assert read == cases
    found = check_files(folder, read)
    assert all(check.words for check in found)
    return {check.name: check.words for check in found if not check.passed}


def with_labels_of_others(scans: Sequence[Scan]) -> list[Scan]:
    moved = [*scans[1:], scans[0]]
    return [
        Scan(a.volumes | {Role.VESSELS: b.volumes[Role.VESSELS]}, a.affine)
        for a, b in zip(scans, moved, strict=True)
    ]


def noisy_copies(scan: Scan, sigma: float = 0.01) -> list[Scan]:
    rng = np.random.default_rng(3)
    image = scan.volumes[Role.ANGIO]
    grain = (rng.normal(0, sigma, image.shape).astype(np.float32) for _ in range(CASES))
    return [Scan(scan.volumes | {Role.ANGIO: np.abs(image + noise)}, scan.affine) for noise in grain]


def moved_copies(scan: Scan) -> list[Scan]:
    """Return one lesion at other places."""
    mask = scan.volumes[Role.LESION]
    places = [(number % 3, number // 3, 0) for number in range(CASES)]
    return [Scan({Role.LESION: np.roll(mask, place, axis=(0, 1, 2))}, scan.affine) for place in places]


def test_public_cases_pass_as_a_data_set_of_their_own(tmp_path: Path) -> None:
    assert failed(tmp_path / "vessels", vessels()) == {}
    assert failed(tmp_path / "lesions", lesions()) == {}


BROKEN: dict[str, tuple[Callable[[], list[Scan]], set[str]]] = {
    "labels of other cases": (lambda: with_labels_of_others(vessels()), {checks.BRIGHT}),
    "one image with other noise": (lambda: noisy_copies(vessels()[0]), {checks.COLLAPSE}),
    "one case over and over": (lambda: vessels()[:1] * CASES, {checks.TWICE, checks.COLLAPSE}),
    "one of them twice": (lambda: [*vessels(), vessels()[2]], {checks.TWICE}),
    "one lesion at other places": (lambda: moved_copies(lesions()[0]), {checks.COLLAPSE}),
    "constant images": (
        lambda: [
            Scan(s.volumes | {Role.ANGIO: np.full_like(s.volumes[Role.ANGIO], 0.3)}, s.affine) for s in vessels()
        ],
        {checks.CONSTANT, checks.TWICE, checks.COLLAPSE, checks.BRIGHT},
    ),
    "one constant image": (
        lambda: [
            *vessels(),
            Scan(vessels()[0].volumes | {Role.ANGIO: np.full((32, 32, 1), 0.3, np.float32)}, np.eye(4)),
        ],
        {checks.CONSTANT},
    ),
    "no label anywhere": (
        lambda: [Scan(s.volumes | {Role.VESSELS: np.zeros((32, 32, 1), np.float32)}, s.affine) for s in vessels()],
        {checks.CONSTANT},
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_data_set_is_refused_for_the_right_reason(what: str, tmp_path: Path) -> None:
    make, expected = BROKEN[what]
    assert failed(tmp_path, make()).keys() == expected


def rewritten(
    change: Callable[[np.ndarray], np.ndarray], role: str, affine: float = 1.0
) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (file,) = folder.glob(f"sub-syn0002/**/*{role}*.nii.gz")
        voxels, _ = nifti.read(file)
        nifti.write(file, change(voxels), np.diag([affine, 1, 1, 1]))

    return spoil


def cut_off(folder: Path) -> None:
    (file,) = folder.glob("sub-syn0002/**/*angio*.nii.gz")
    file.write_bytes(file.read_bytes()[:200])


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "not a number": (rewritten(lambda v: np.where(v > 0.3, np.nan, v), "angio"), "NaN"),
    "cut off": (cut_off, "truncated"),
    "missing": (lambda f: next(f.glob("sub-syn0002/**/*angio*")).unlink(), "no such file"),
    "another shape": (rewritten(lambda v: v[:-1], "angio"), "shape"),
    "another voxel size": (rewritten(lambda v: v, "angio", affine=2.0), "voxel size"),
    "a mask of twos": (rewritten(lambda v: v * 2, "vessels"), "other values"),
    "another label": (rewritten(lambda v: 1 - v, "vessels"), "number of labelled"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_file_that_does_not_read_back_is_named(what: str, tmp_path: Path) -> None:
    spoil, words = SPOILT[what]
    found = failed(tmp_path, vessels(), spoil)
    assert found.keys() == {FILES}
    assert words in found[FILES]
    assert "sub-syn0002" in found[FILES]


def test_perfusion_maps_are_positive_and_end_with_the_brain() -> None:
    brain = np.zeros((4, 4, 2), np.float32)
    brain[1:3] = 1
    assert map_faults(Scan({Role.CBF: brain * 50, Role.BRAIN: brain}, np.eye(4))) == []
    (negative,) = map_faults(Scan({Role.CBF: -brain, Role.BRAIN: brain}, np.eye(4)))
    (outside,) = map_faults(Scan({Role.TTP: brain + 1, Role.BRAIN: brain}, np.eye(4)))
    assert ("negative down to -1" in negative, "not 0 outside the brain" in outside) == (True, True)


def test_brightness_is_the_area_under_the_curve_of_label_against_its_rim() -> None:
    rng = np.random.default_rng(1)
    image, label = rng.normal(size=(2, 30, 30, 1)).astype(np.float32)
    label = (np.hypot(*np.mgrid[-15:15, -15:15])[..., None] < 5).astype(np.float32)
    image += label
    around = np.abs(np.mgrid[-40:40, -40:40]).sum(axis=0) <= RIM
    rim = np.zeros((30, 30), bool)
    for i, j in np.argwhere(label[..., 0] > 0):
        rim |= around[40 - i : 70 - i, 40 - j : 70 - j]
    rim &= label[..., 0] == 0
    inside = label[..., 0] > 0
    truth = np.concatenate([np.ones(inside.sum()), np.zeros(rim.sum())])
    values = np.concatenate([image[..., 0][inside], image[..., 0][rim]])
    assert brightness(image, label) == pytest.approx(roc_auc_score(truth, values))
    assert brightness(3 * image + 7, label) == pytest.approx(brightness(image, label))
    assert np.isnan(brightness(image, np.zeros_like(label)))


def test_lesions_are_compared_by_shape_wherever_they_lie() -> None:
    mask = np.zeros((24, 24, 24), np.float32)
    mask[4:8, 4:8, 4:8] = 1
    moved, larger = np.roll(mask, 9, axis=0), np.zeros_like(mask)
    larger[4:12, 4:8, 4:8] = 1
    shapes = [lesion_shape(volume, (4.0, 4.0, 4.0)) for volume in (mask, moved, larger)]
    assert sorted(shapes_alike(shapes)) == pytest.approx([2 / 3, 2 / 3, 1])


def test_an_image_is_compared_in_units_of_its_own_white() -> None:
    image = np.random.default_rng(1).random((20, 20, 3), dtype=np.float32)
    assert np.allclose(middle_slice(image * 700), middle_slice(image), atol=1e-5)
    assert 0 <= middle_slice(image).min() <= middle_slice(image).max() <= 2


def test_public_levels_lie_where_a_threshold_between_them_makes_sense() -> None:
    level = public_brightness(Role.VESSELS, 32)
    assert level.other < level.least < level.own
    for alike in (public_images(Role.ANGIO, 32), public_lesions()):
        assert 0 < alike.mean < alike.most < 1


def test_one_case_has_no_pairs_and_says_so(tmp_path: Path) -> None:
    cases = write_cases(tmp_path, vessels()[:1], prefix="syn", description="")
    found = {check.name: check for check in check_files(tmp_path, cases)}
    assert found[checks.COLLAPSE].passed
    assert found[checks.COLLAPSE].words.startswith("not measured")


def test_the_distance_is_recorded_as_answered_and_missed_only_where_it_is_demanded(tmp_path: Path) -> None:
    copied, unclear, free = (answer("0" * 64, 90), answer("0" * 64, 0, noise=0.5), answer("0" * 64, 0))
    answered = check_distance(copied, Demands())
    assert not answered.passed
    assert answered.words.startswith("failed: about 90% of the patients trained on")
    assert check_distance(unclear, Demands()).passed
    assert check_distance(unclear, Demands()).words.startswith("cannot tell")
    assert check_distance(None, Demands.at(tmp_path)).passed
    (tmp_path / DEMANDS_FILE).write_text("distance = true\n")
    assert not check_distance(None, Demands.at(tmp_path)).passed
    assert not check_distance(unclear, Demands.at(tmp_path)).passed
    assert check_distance(free, Demands.at(tmp_path)).passed
    (tmp_path / DEMANDS_FILE).write_text("distances = true\n")
    with pytest.raises(UsageError, match=r"release\.toml: not a federation's demands"):
        Demands.at(tmp_path)


def test_what_lists_no_cases_is_no_data_set(tmp_path: Path) -> None:
    for text in (None, "[", "[]", "[{}]", "{}", "[1]"):
        if text is not None:
            (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(PublicationRefused, match="no whole data set"):
            rows(tmp_path)
