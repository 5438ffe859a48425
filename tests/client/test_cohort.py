"""The reader of a hospital's files: two shapes, patients as units, every session checked."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.cohort import find_cohort, is_site
from shared.errors import CohortError
from shared.imaging import nifti
from shared.imaging.scan import Role, Timing
from tests.cohorts import (
    LESION_MM,
    add_lesion_patient,
    add_perfusion_patient,
    add_vessel_patient,
    blob,
    file_of,
    lesion_cohorts,
)

LESION = [Role.LESION]
PERFUSION = [Role.DSC, Role.CBF, Role.TMAX, Role.BRAIN]
VESSELS = [Role.ANGIO, Role.VESSELS, Role.BRAIN]


def test_folders_of_patients_are_read_in_order_of_name(tmp_path: Path) -> None:
    for patient in ("sub-b", "sub-a", "sub-10"):
        add_vessel_patient(tmp_path, patient, seed=1)
    cohort = find_cohort(tmp_path, VESSELS)
    assert cohort.ids == ["sub-10", "sub-a", "sub-b"]
    (scan,) = cohort.scans("sub-a")
    assert set(scan.volumes) == set(VESSELS)
    assert scan.shape == (40, 40, 12)
    assert scan.spacing == pytest.approx((0.6, 0.6, 0.8))


def test_all_sessions_of_a_patient_are_one_unit(tmp_path: Path) -> None:
    for session in ("ses-1", "ses-2", "ses-3"):
        add_lesion_patient(tmp_path, "sub-001", seed=3, session=session)
    add_lesion_patient(tmp_path, "sub-002", seed=4)
    cohort = find_cohort(tmp_path, LESION)
    assert cohort.ids == ["sub-001", "sub-002"]
    assert [len(cohort.scans(patient)) for patient in cohort.ids] == [3, 1]


def test_a_table_says_where_files_are(tmp_path: Path) -> None:
    nifti.write(tmp_path / "masks" / "x.nii.gz", blob(1), LESION_MM)
    nifti.write(tmp_path / "masks" / "y.nii.gz", blob(2), LESION_MM)
    (tmp_path / "cohort.csv").write_text(
        "patient,session,lesion,angio\n p1 ,1,masks/x.nii.gz,\n\np1,2,masks/y.nii.gz,\np2,, masks/y.nii.gz,\n",
        encoding="utf-8-sig",  # as a spreadsheet saves it
    )
    cohort = find_cohort(tmp_path, LESION)
    assert cohort.ids == ["p1", "p2"]
    first, second = cohort.scans("p1")
    assert np.array_equal(first.volumes[Role.LESION], blob(1))
    assert np.array_equal(second.volumes[Role.LESION], blob(2))


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("123"), st.sampled_from(["", " ", "\t"])),
        min_size=1,
        unique_by=lambda row: row[:2],
    )
)
def test_rows_of_a_patient_are_one_unit_however_they_are_typed(
    rows: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("table")
    (folder / "x.nii.gz").touch()
    lines = [f"{space}{patient}{space},{session},x.nii.gz" for patient, session, space in rows]
    (folder / "cohort.csv").write_text("\n".join(["patient,session,lesion", *lines]))
    cohort = find_cohort(folder, LESION)
    assert cohort.ids == sorted({patient for patient, _, _ in rows})
    assert sum(map(len, cohort.patients.values())) == len(rows)


@pytest.mark.parametrize("largest", [192, 251, 2035])
def test_an_anatomical_map_may_hold_any_number_of_a_structure(tmp_path: Path, largest: int) -> None:
    nifti.write(file_of(tmp_path, "sub-001", Role.ANATOMY), (largest * blob(1)).astype(np.int16), LESION_MM)
    (scan,) = find_cohort(tmp_path, [Role.ANATOMY]).scans("sub-001")
    assert np.array_equal(scan.volumes[Role.ANATOMY], largest * blob(1))


@pytest.mark.parametrize("wrong", [0.5, -2.0])
def test_a_map_of_anything_but_whole_numbers_is_refused(tmp_path: Path, wrong: float) -> None:
    nifti.write(file_of(tmp_path, "sub-001", Role.ANATOMY), wrong * blob(1), LESION_MM)
    with pytest.raises(CohortError, match=r"sub-001_label-anatomy_dseg.*whole numbers from 0; resample it"):
        find_cohort(tmp_path, [Role.ANATOMY]).scans("sub-001")


def test_a_mask_that_holds_numbers_of_structures_is_refused(tmp_path: Path) -> None:
    nifti.write(file_of(tmp_path, "sub-001", Role.LESION), (41 * blob(1)).astype(np.int16), LESION_MM)
    with pytest.raises(CohortError, match="only 0 and 1; binarise it"):
        find_cohort(tmp_path, LESION).scans("sub-001")


def test_sessions_without_anything_the_recipe_reads_are_left_out(tmp_path: Path) -> None:
    add_lesion_patient(tmp_path, "sub-001", seed=1)
    add_vessel_patient(tmp_path, "sub-002", seed=2)
    assert find_cohort(tmp_path, LESION).ids == ["sub-001"]
    assert find_cohort(tmp_path, VESSELS).ids == ["sub-002"]


@pytest.mark.parametrize("missing", VESSELS)
def test_a_session_with_only_some_of_the_files_is_refused(missing: Role, tmp_path: Path) -> None:
    add_vessel_patient(tmp_path, "sub-001", seed=1)
    file_of(tmp_path, "sub-001", missing).unlink()
    with pytest.raises(CohortError, match=f"add the {missing.value} file or remove this one"):
        find_cohort(tmp_path, VESSELS)


def test_what_two_tools_round_differently_is_still_aligned(tmp_path: Path) -> None:
    add_vessel_patient(tmp_path, "sub-001", seed=1)
    path = file_of(tmp_path, "sub-001", Role.BRAIN)
    voxels, affine = nifti.read(path)
    nifti.write(path, voxels, affine + 1e-4)
    assert len(find_cohort(tmp_path, VESSELS).scans("sub-001")) == 1


def test_only_a_folder_with_patients_or_a_table_is_a_site(tmp_path: Path) -> None:
    root = lesion_cohorts(tmp_path / "cohorts", {"east": 1})
    (root / "west").mkdir()
    (root / "north").mkdir()
    (root / "north" / "cohort.csv").write_text("patient,lesion\n")
    assert [is_site(root / name) for name in ("east", "west", "north")] == [True, False, True]


def test_a_series_is_read_with_its_timing_beside_volumes_of_its_shape_in_space(tmp_path: Path) -> None:
    add_perfusion_patient(tmp_path, "sub-001", seed=1)
    (scan,) = find_cohort(tmp_path, PERFUSION).scans("sub-001")
    assert set(scan.volumes) == set(PERFUSION)
    assert scan.volumes[Role.DSC].shape == (24, 24, 4, 40)
    assert scan.shape == scan.volumes[Role.CBF].shape == (24, 24, 4)
    assert scan.timing == Timing(repetition_s=1.5, echo_s=0.03)


def test_without_the_series_no_sidecar_is_needed(tmp_path: Path) -> None:
    add_perfusion_patient(tmp_path, "sub-001", seed=1)
    for path in tmp_path.rglob("*.json"):
        path.unlink()
    (scan,) = find_cohort(tmp_path, [Role.CBF, Role.CBV]).scans("sub-001")
    assert scan.timing is None
    with pytest.raises(CohortError, match=r"sub-001_dsc\.nii\.gz: EchoTime is not known"):
        find_cohort(tmp_path, [Role.DSC]).scans("sub-001")


@pytest.mark.parametrize("session", ["", "ses-1"])
def test_perfusion_may_lie_in_a_folder_of_its_own(tmp_path: Path, session: str) -> None:
    add_perfusion_patient(tmp_path, "sub-001", seed=1, session=session)
    (anat,) = tmp_path.rglob("anat")
    before = find_cohort(tmp_path, PERFUSION).scans("sub-001")[0]
    anat.rename(anat.with_name("perf"))
    after = find_cohort(tmp_path, PERFUSION).scans("sub-001")[0]
    assert all(np.array_equal(before.volumes[role], after.volumes[role]) for role in PERFUSION)


def test_two_files_of_one_role_are_refused(tmp_path: Path) -> None:
    add_perfusion_patient(tmp_path, "sub-001", seed=1)
    path = file_of(tmp_path, "sub-001", Role.CBF)
    twin = path.parent.with_name("perf") / path.name
    twin.parent.mkdir()
    twin.write_bytes(path.read_bytes())
    with pytest.raises(CohortError, match=r"perf/sub-001_cbf\.nii\.gz: sub-001_cbf\.nii\.gz is there too; keep"):
        find_cohort(tmp_path, PERFUSION)


def test_a_table_may_list_series_and_maps(tmp_path: Path) -> None:
    add_perfusion_patient(tmp_path / "elsewhere", "sub-1", seed=1)
    roles = {
        "dsc": Role.DSC,
        "cbf": Role.CBF,
        "cbv": Role.CBV,
        "mtt": Role.MTT,
        "tmax": Role.TMAX,
        "ttp": Role.TTP,
    }
    cells = [str(file_of(tmp_path / "elsewhere", "sub-1", role).relative_to(tmp_path)) for role in roles.values()]
    (tmp_path / "cohort.csv").write_text(f"patient,{','.join(roles)}\np1,{','.join(cells)}\n")
    (scan,) = find_cohort(tmp_path, list(roles.values())).scans("p1")
    assert set(scan.volumes) == set(roles.values())
    assert scan.timing is not None


def test_a_map_of_another_shape_than_the_series_is_refused(tmp_path: Path) -> None:
    add_perfusion_patient(tmp_path, "sub-001", seed=1)
    path = file_of(tmp_path, "sub-001", Role.CBF)
    voxels, affine = nifti.read(path)
    nifti.write(path, voxels[:, :, 1:], affine)
    with pytest.raises(CohortError, match=r"shape \(24, 24, 3\) differs from \(24, 24, 4, 40\) of sub-001_dsc"):
        find_cohort(tmp_path, PERFUSION).scans("sub-001")
