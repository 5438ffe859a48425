"""Bad input: one line that names the file and the remedy, exit status 1, and nothing written or changed."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from shared.imaging import nifti
from shared.imaging.scan import Role
from tests.cohorts import (
    LESION_MM,
    VESSEL_MM,
    blob,
    file_of,
    lesion_cohorts,
    snapshot,
    vessel_cohorts,
    write_policy,
)
from tests.commands import willis

FREE = ("--unsafe-non-private", "--rounds", 1, "--pretrain", "none", "--count", 2, "--seed", 1)
Spoil = Callable[[Path], None]


def simulate(out: Path, cohorts: Path, recipe: str, *more: object) -> str:
    """Return the sentence `willis simulate` refuses with, after checking that it left no trace."""
    before = snapshot(cohorts)
    sentence = willis("simulate", out, "--recipe", recipe, "--cohorts", cohorts, *more).sentence()
    assert snapshot(cohorts) == before
    assert not out.exists()
    return sentence


def lesion(root: Path) -> Path:
    """Return the file of one lesion mask at the site `east`."""
    return file_of(root / "east", "sub-002", Role.LESION)


def vessel(root: Path, role: Role) -> Path:
    """Return one of the files of a vessel patient at the site `east`."""
    return file_of(root / "east", "sub-002", role)


def table(root: Path, text: str, encoding: str = "utf-8") -> None:
    """Make the site `east` one with a table of files."""
    (root / "east" / "cohort.csv").write_bytes(text.encode(encoding))


def nan_voxels(root: Path) -> None:
    voxels = blob(1)
    voxels[3, 4, 5] = np.nan
    nifti.write(lesion(root), voxels, LESION_MM)


def truncated(root: Path) -> None:
    lesion(root).write_bytes(lesion(root).read_bytes()[:-60])


def four_dimensional(root: Path) -> None:
    nifti.write(lesion(root), np.stack([blob(1), blob(2)], axis=3), LESION_MM)


def gigantic(root: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape((30_000, 30_000, 30_000))
    lesion(root).unlink()
    lesion(root).with_suffix("").write_bytes(header.binaryblock + bytes(64))


def not_binary(root: Path) -> None:
    nifti.write(lesion(root), blob(1) * 255, LESION_MM)


def flat_affine(root: Path) -> None:
    image = nib.Nifti1Image(blob(1), None)
    image.header.set_sform(np.diag([4.0, 4.0, 0.0, 1.0]), code=1)
    nib.save(image, lesion(root))


def at_two_sites(root: Path) -> None:
    nifti.write(file_of(root / "west", "sub-002", Role.LESION), blob(9), LESION_MM)


def emptied(root: Path) -> None:
    lesion(root).parent.parent.rename(root.parent / "elsewhere")
    for other in ("sub-001", "sub-003"):
        file_of(root / "east", other, Role.LESION).unlink()


def no_patients(root: Path) -> None:
    (root / "north").mkdir()


def unknown_key(root: Path) -> None:
    write_policy(root / "west", "max_epsilom = 3\n")


def bad_toml(root: Path) -> None:
    write_policy(root / "west", "max_epsilon = \n")


def absurd_cap(root: Path) -> None:
    write_policy(root / "west", "max_epsilon = inf\n")


LESIONS: dict[Spoil, tuple[str, str, str]] = {  # how it is spoilt -> where, what, remedy
    nan_voxels: ("east/sub-002/anat/sub-002_label-lesion_mask.nii.gz", "1 voxels are NaN", "replace them"),
    truncated: ("east/sub-002/anat/sub-002_label-lesion_mask.nii.gz", "truncated", "copy it again"),
    four_dimensional: ("east/sub-002/anat/sub-002_label-lesion_mask.nii.gz", "(24, 24, 24, 2)", "convert"),
    gigantic: ("east/sub-002/anat/sub-002_label-lesion_mask.nii", "(30000, 30000, 30000)", "crop it"),
    not_binary: ("east/sub-002/anat/sub-002_label-lesion_mask.nii.gz", "only 0 and 1", "binarise it"),
    flat_affine: ("east/sub-002/anat/sub-002_label-lesion_mask.nii.gz", "singular", "repair the header"),
    at_two_sites: ("cohorts/west", "patient sub-002 is at 2 sites", "keep it at one"),
    emptied: ("cohorts/east", "no patients here", "expected sub-<patient>/anat/"),
    no_patients: ("cohorts/north", "no patients here", "move the folder away"),
    unknown_key: ("west/policy.toml", "max_epsilom", "known keys: max_epsilon"),
    bad_toml: ("west/policy.toml", "not valid TOML", "mend that line"),
    absurd_cap: ("west/policy.toml", "max_epsilon", "finite"),
}


@pytest.mark.parametrize("spoil", LESIONS, ids=lambda spoil: spoil.__name__)
def test_a_spoilt_lesion_cohort_is_named(spoil: Spoil, tmp_path: Path) -> None:
    cohorts = lesion_cohorts(tmp_path / "cohorts")
    spoil(cohorts)
    sentence = simulate(tmp_path / "run", cohorts, "lesions-3d", *FREE)
    for fragment in LESIONS[spoil]:
        assert fragment in sentence


def label_missing(root: Path) -> None:
    vessel(root, Role.VESSELS).unlink()


def image_missing(root: Path) -> None:
    vessel(root, Role.ANGIO).unlink()


def other_shape(root: Path) -> None:
    nifti.write(vessel(root, Role.VESSELS), np.zeros((40, 40, 13), np.float32), VESSEL_MM)


def other_affine(root: Path) -> None:
    moved = VESSEL_MM.copy()
    moved[0, 3] = 1.0
    nifti.write(vessel(root, Role.BRAIN), np.ones((40, 40, 12), np.float32), moved)


VESSELS: dict[Spoil, tuple[str, str, str]] = {
    label_missing: ("sub-002_angio.nii.gz", "label-vessels_mask is missing", "add the label-vessels_mask file"),
    image_missing: ("sub-002_label-vessels_mask.nii.gz", "a label without its image", "or remove this one"),
    other_shape: ("sub-002_label-vessels_mask.nii.gz", "(40, 40, 13) differs from (40, 40, 12)", "resample"),
    other_affine: ("sub-002_label-brain_mask.nii.gz", "affine differs", "register or re-export"),
}


@pytest.mark.parametrize("spoil", VESSELS, ids=lambda spoil: spoil.__name__)
def test_a_spoilt_vessel_cohort_is_named(spoil: Spoil, tmp_path: Path) -> None:
    cohorts = vessel_cohorts(tmp_path / "cohorts")
    spoil(cohorts)
    sentence = simulate(tmp_path / "run", cohorts, "vessels-2d", *FREE)
    for fragment in VESSELS[spoil]:
        assert fragment in sentence


TABLES = {
    "unknown column": ("patient,lesions\np1,a.nii.gz\n", "cohort.csv: columns must be patient"),
    "no patient column": ("lesion\na.nii.gz\n", "cohort.csv: columns must be patient"),
    "column twice": ("patient,lesion,lesion\np1,a.nii.gz,b.nii.gz\n", "cohort.csv: columns must be patient"),
    "nothing in it": ("", "cohort.csv: columns must be patient"),
    "no rows": ("patient,lesion\n", "no patients here"),
    "short row": ("patient,session,lesion\np1,a.nii.gz\n", "cohort.csv, line 2: 2 cells under 3 columns"),
    "long row": ("patient,lesion\np1,a.nii.gz,\n", "cohort.csv, line 2: 3 cells under 2 columns"),
    "patient without a name": ("patient,lesion\n ,a.nii.gz\n", "cohort.csv, line 2: patient '' is empty"),
    "row twice": ("patient,lesion\np1,a.nii.gz\np1 ,b.nii.gz\n", "cohort.csv, line 3: patient 'p1' is empty or"),
    "open quote": ('patient,lesion\n"p1,a.nii.gz\n', "cohort.csv: not a readable table"),
    "path missing": (
        "patient,lesion\np1,there/a.nii.gz\n",
        "east/there/a.nii.gz: no such file (east, patient p1)",
    ),
    "path of a folder": ("patient,lesion\np1,sub-001\n", "east/sub-001: no such file (east, patient p1)"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_malformed_table_is_named(name: str, tmp_path: Path) -> None:
    cohorts = lesion_cohorts(tmp_path / "cohorts")
    text, expected = TABLES[name]
    table(cohorts, text)
    assert expected in simulate(tmp_path / "run", cohorts, "lesions-3d", *FREE)


def test_a_table_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    cohorts = lesion_cohorts(tmp_path / "cohorts")
    table(cohorts, "patient,lesion\nJosé,a.nii.gz\n", encoding="latin-1")
    sentence = simulate(tmp_path / "run", cohorts, "lesions-3d", *FREE)
    assert "cohort.csv: not a readable table in UTF-8" in sentence
    assert "save it again as CSV" in sentence


PRIVATE = ("--rounds", 1, "--pretrain", "none")
TARGETS = {
    "no choice": ((), "give either --epsilon or --unsafe-non-private"),
    "both": (("--epsilon", 8, "--unsafe-non-private"), "give either --epsilon or --unsafe-non-private"),
    **{
        f"epsilon {epsilon}": (("--epsilon", epsilon), f"--epsilon {float(epsilon):g}: choose a number above 0")
        for epsilon in ("-1", "0", "nan", "inf", "-inf", "1e9")
    },
    **{
        f"delta {delta}": (("--epsilon", 8, "--delta", delta), f"--delta {float(delta):g}: choose a number")
        for delta in ("-1e-5", "0", "1", "2", "nan")
    },
    "out of reach": (("--epsilon", 1e-12, "--delta", 1e-12), "is out of reach for 5 steps"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_that_makes_no_sense_is_refused(name: str, tmp_path: Path) -> None:
    cohorts = lesion_cohorts(tmp_path / "cohorts")
    words, expected = TARGETS[name]
    assert expected in simulate(tmp_path / "run", cohorts, "lesions-3d", *PRIVATE, *words)


@pytest.mark.parametrize(
    ("recipe", "more", "expected"),
    [
        (
            "vessels-4d",
            (),
            "recipe 'vessels-4d' is unknown; choose one of: lesions-3d, perfusion-2d, query-dice, query-distance, "
            "translate-2d, vessels-2d, vessels-3d",
        ),
        ("lesions-3d", ("--variant", "vae"), "lesions-3d has no variant 'vae'; choose one of: wgan-gp"),
        ("lesions-3d", ("--preset", "huge"), "lesions-3d has no preset 'huge'; choose one of: small, paper"),
    ],
)
def test_an_unknown_recipe_is_answered_with_those_there_are(
    recipe: str, more: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    assert simulate(tmp_path / "run", lesion_cohorts(tmp_path / "cohorts"), recipe, *FREE, *more) == expected


@pytest.mark.parametrize("folder", ["empty", "a-site-itself"])
def test_cohorts_without_sites_are_named(folder: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    lesion_cohorts(tmp_path, {"a-site-itself": 3})
    sentence = simulate(tmp_path / "run", tmp_path / folder, "lesions-3d", *FREE)
    assert str(tmp_path / folder) in sentence
    assert f"expected {folder}/<site>/sub-<patient>/anat/..." in sentence


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    words = ("--recipe", "lesions-3d", "--cohorts", lesion_cohorts(tmp_path / "cohorts"), *FREE)
    before = snapshot(tmp_path)
    assert willis("simulate", out, *words).sentence().startswith(f"{out}: not empty; give --resume")
    assert snapshot(tmp_path) == before


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, data: bytes) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    cohorts = lesion_cohorts(tmp_path / "cohorts")
    monkeypatch.setattr("server.run.folder.write_durably", refuse)
    sentence = simulate(tmp_path / "run", cohorts, "lesions-3d", *FREE)
    assert sentence.startswith(
        f"{tmp_path / 'run' / 'federation.json'}: Permission denied; change its permissions"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--recipe", "lesions-3d"),
        ("--cohorts", "nowhere"),
        ("--rounds", 0),
        ("--count", 0),
        ("--seed", -1),
        ("--epsilon", "eight"),
        ("--engine", "steam"),
        ("--pretrain", "real"),
    ],
    ids=str,
)
def test_an_option_out_of_range_is_a_usage_error(words: tuple[object, ...], tmp_path: Path) -> None:
    outcome = willis("simulate", tmp_path / "run", *words)
    assert outcome.status == 2
    assert outcome.complained[-1].startswith("Error: ")
    assert not (tmp_path / "run").exists()
