"""Guarantees of the written cohorts and of the command `willis phantoms`."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

import shared.recipes
from client.cohort import find_cohort
from shared.errors import UsageError
from shared.imaging.nifti import read
from shared.imaging.scan import Role
from simulations.hospitals.cohort import Plan, patient_seed, write_cohorts
from simulations.hospitals.command import NEXT, phantoms
from simulations.hospitals.dsc import dsc_patient
from simulations.hospitals.passage import passage_of
from simulations.hospitals.patient import describe

TINY = (24, 24, 16)


def plan(**changes: int) -> Plan:
    return Plan(**{"kind": "tof", "sites": 2, "patients": 3, "seed": 4, "shape": TINY, **changes})  # type: ignore[arg-type]


def digest(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_same_plan_writes_the_same_bytes_in_one_process_or_two(tmp_path: Path) -> None:
    write_cohorts(plan(sites=1, patients=2), tmp_path / "one", jobs=1)
    write_cohorts(plan(sites=1, patients=2), tmp_path / "two", jobs=2)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    write_cohorts(plan(sites=1, patients=2, seed=5), tmp_path / "other")
    images = [{v for k, v in digest(tmp_path / n).items() if k.endswith(".gz")} for n in ("one", "other")]
    assert not images[0] & images[1]


def test_a_hospital_has_its_lists_and_three_aligned_files_for_each_session(tmp_path: Path) -> None:
    patients = 8
    folders = write_cohorts(plan(patients=patients), tmp_path / "out")
    assert [f.name for f in folders] == ["site-a", "site-b"]
    names = set()
    for folder in folders:
        assert json.loads((folder / "dataset_description.json").read_text())["BIDSVersion"]
        header, *rows = (folder / "participants.tsv").read_text().splitlines()
        assert header.split("\t") == ["participant_id", "age_band", "sex", "stenosis"]
        assert len(rows) == patients
        for row in rows:
            name, _, sex, stenosis = row.split("\t")
            names.add(name)
            assert sex in "FM"
            assert stenosis in ("yes", "no")
            check_patient(folder / name)
    assert len(names) == 2 * patients
    sessions = sum(describe(patient_seed(plan(), s, n), s).sessions for s in (0, 1) for n in range(1, 9))
    assert len(list((tmp_path / "out").rglob("*_angio.nii.gz"))) == sessions


def check_patient(folder: Path) -> None:
    angiograms = list(folder.rglob("anat/*_angio.nii.gz"))
    assert len(angiograms) in (1, 2)
    for angiogram in angiograms:
        session = "" if len(angiograms) == 1 else f"_{angiogram.parent.parent.name}"
        assert angiogram.name == f"{folder.name}{session}_angio.nii.gz"
        voxels, affine = read(angiogram)
        assert voxels.shape == TINY
        for suffix in ("label-vessels_mask", "label-brain_mask"):
            mask, its_affine = read(angiogram.with_name(f"{folder.name}{session}_{suffix}.nii.gz"))
            assert set(np.unique(mask)) <= {0.0, 1.0}
            assert mask.shape == TINY
            assert np.array_equal(affine, its_affine)


def test_a_held_out_cohort_has_other_patients_of_the_same_hospitals() -> None:
    train, held_out = plan(), plan(first=101)
    seeds = [{patient_seed(p, s, n) for s in (0, 1) for n in p.numbers()} for p in (train, held_out)]
    assert not seeds[0] & seeds[1]
    assert not set(train.numbers()) & set(held_out.numbers())


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        write_cohorts(plan(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_lesion_cohorts_hold_one_mask_for_each_patient(tmp_path: Path) -> None:
    (folder,) = write_cohorts(Plan("lesions", 1, 2, 4, TINY), tmp_path)
    assert sorted(p.name for p in folder.rglob("*.nii.gz")) == [
        "sub-a001_label-lesion_mask.nii.gz",
        "sub-a002_label-lesion_mask.nii.gz",
    ]
    assert "stenosis" not in (folder / "participants.tsv").read_text()


def test_dwi_cohorts_hold_image_anatomy_and_lesion_that_the_reader_takes(tmp_path: Path) -> None:
    (folder,) = write_cohorts(Plan("dwi", 1, 8, 4, TINY), tmp_path)
    cohort = find_cohort(folder, (Role.DWI, Role.ANATOMY, Role.LESION))
    assert len(cohort.ids) == 8
    scans = [scan for patient in cohort.ids for scan in cohort.scans(patient)]
    assert {int(scan.volumes[Role.ANATOMY].max()) for scan in scans} == {192}  # more than an 8-bit sign allows
    empty = sum(not scan.volumes[Role.LESION].any() for scan in scans)
    assert 0 < empty < 5  # one in six on average, two of these eight
    stored = nib.Nifti1Image.from_filename(next(folder.rglob("*_dseg.nii.gz")))
    assert stored.get_data_dtype().kind in "iu"
    assert "stenosis" not in (folder / "participants.tsv").read_text()


def test_perfusion_cohorts_hold_series_sidecar_and_maps_and_say_who_moves(tmp_path: Path) -> None:
    asked = Plan("dsc", 1, 3, 1, (24, 24, 4), frames=20)
    (folder,) = write_cohorts(asked, tmp_path)
    maps = (Role.CBF, Role.CBV, Role.MTT, Role.TMAX, Role.TTP)
    cohort = find_cohort(folder, (Role.DSC, *maps, Role.BRAIN, Role.LESION))
    scan = cohort.scans(cohort.ids[0])[0]
    (drawn, *_) = dsc_patient(patient_seed(asked, 0, 1), 0, (24, 24, 4), 20)
    assert scan.timing == drawn.timing
    for role, voxels in drawn.volumes.items():
        assert np.array_equal(scan.volumes[role], voxels)  # whole numbers and float32 alike lose nothing
    header, *rows = (folder / "participants.tsv").read_text().splitlines()
    assert header.split("\t") == ["participant_id", "age_band", "sex", "motion", "aif"]
    for number, row in enumerate(rows, start=1):
        passage = passage_of(patient_seed(asked, 0, number), 0, 20)
        assert row.split("\t")[3:] == ["yes" if passage.moves else "no", passage.aif or "good"]
    assert {row.split("\t")[3] for row in rows} == {"yes", "no"}


def test_the_command_says_what_it_wrote_and_what_to_do_next(tmp_path: Path) -> None:
    out = tmp_path / "cohorts"
    args = [
        "tof",
        str(out),
        "--sites",
        "2",
        "--patients",
        "1",
        "--seed",
        "3",
        "--jobs",
        "1",
        "--shape",
        "24",
        "24",
        "16",
    ]
    result = CliRunner().invoke(phantoms, args, catch_exceptions=False)
    assert result.exit_code == 0
    assert "2 hospitals, 1 patient each" in result.stdout
    assert f"willis simulate RUN --recipe vessels-2d --cohorts {out}" in result.stdout
    assert sorted(p.name for p in out.iterdir()) == ["site-a", "site-b"]


def test_the_command_writes_as_many_frames_as_are_asked_for(tmp_path: Path) -> None:
    size = ("--sites", "1", "--patients", "1", "--jobs", "1", "--shape", "24", "24", "8", "--frames", "30")
    args = ["dsc", str(tmp_path / "out"), "--seed", "3", *size]
    result = CliRunner().invoke(phantoms, args, catch_exceptions=False)
    (series,) = (tmp_path / "out").rglob("*_dsc.nii.gz")
    assert nib.load(series).shape == (24, 24, 8, 30)
    assert f"Next: willis perfusion {series} MAPS" in result.stdout.replace("\n", "")


def test_the_command_is_imported_without_anything_heavy() -> None:
    code = "import sys, simulations.hospitals.command; print({'numpy', 'scipy', 'torch'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_the_next_step_names_a_recipe_that_exists() -> None:
    recipes = Path(shared.recipes.__file__).parent.glob("*.py")
    known = "".join(path.read_text() for path in recipes)
    assert all(f'name = "{recipe}"' in known for recipe in NEXT.values())
