"""NIfTI: what is written comes back, the same voxels give the same bytes, and no bad file gets further."""

import gzip
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import CohortError
from shared.imaging import nifti

AFFINE = np.array([[-0.6, 0.1, 0, 90], [0, 0.7, 0, -120], [0, 0, 1.5, 8], [0, 0, 0, 1.0]])


def volume(shape: tuple[int, ...] = (4, 5, 6)) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def save(path: Path, voxels: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Path:
    """Write by nibabel alone, as other tools would."""
    nib.save(nib.Nifti1Image(voxels, AFFINE), path)
    return path


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64])
def test_what_is_written_comes_back(kind: type[np.generic], tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.nii.gz"
    nifti.write(path, volume().astype(kind), AFFINE)
    voxels, affine = nifti.read(path)
    assert voxels.dtype == np.float32
    assert np.array_equal(voxels, volume())
    assert np.allclose(affine, AFFINE, atol=1e-5)


def test_the_same_voxels_give_the_same_bytes_wherever_they_lie(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        nifti.write(tmp_path / name, volume(), AFFINE, "SYNTHETIC")
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert (tmp_path / "a.nii.gz").read_bytes()[4:8] == bytes(4)  # gzip's time stamp


def test_other_tools_read_it(tmp_path: Path) -> None:
    nifti.write(tmp_path / "x.nii.gz", volume(), AFFINE, "SYNTHETIC " + "x" * 200)
    image = nib.load(tmp_path / "x.nii.gz")
    assert image.header.get_xyzt_units()[0] == "mm"
    assert bytes(image.header["descrip"]).startswith(b"SYNTHETIC xx")
    assert np.array_equal(image.get_fdata(), volume())


def test_stored_scaling_is_applied(tmp_path: Path) -> None:
    image = nib.Nifti1Image(volume(), AFFINE)
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "x.nii")
    voxels, _ = nifti.read(tmp_path / "x.nii")
    assert np.allclose(voxels, volume() * 0.5 + 10)


def test_a_fourth_axis_of_one_is_dropped(tmp_path: Path) -> None:
    voxels, _ = nifti.read(save(tmp_path / "x.nii.gz", volume((4, 5, 6, 1))))
    assert np.array_equal(voxels, volume())


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 6, 2), (4, 5, 6, 1, 2), (4,)])
def test_what_is_not_3d_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"x\.nii: shape .* is not a 3D volume.*convert or crop it"):
        nifti.read(save(tmp_path / "x.nii", volume(shape)))


@pytest.mark.parametrize("shape", [(513, 512, 512), (30_000, 30_000, 30_000), (30_000, 30_000, 1, 1)])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_gigantic_header_is_refused_before_anything_is_allocated(
    shape: tuple[int, ...], ending: str, tmp_path: Path
) -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float64)
    header.set_data_shape(shape)
    data = header.binaryblock + bytes(1000)
    path = tmp_path / f"x{ending}"
    path.write_bytes(gzip.compress(data) if ending == ".nii.gz" else data)
    tracemalloc.start()
    with pytest.raises(CohortError, match="at most 134217728 voxels"):
        nifti.read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**24


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite_are_counted(value: float, tmp_path: Path) -> None:
    voxels = volume()
    voxels[1, 2, 3:5] = value
    with pytest.raises(CohortError, match="2 voxels are NaN or infinite; replace them or remove the patient"):
        nifti.read(save(tmp_path / "x.nii.gz", voxels))


def test_voxels_too_large_for_float32_are_not_finite(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="120 voxels are NaN or infinite"):
        nifti.read(save(tmp_path / "x.nii", np.full((4, 5, 6), 1e300)))


@pytest.mark.parametrize("kind", [np.complex64, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])])
def test_voxels_that_are_not_plain_numbers_are_refused(kind: type[np.generic], tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="convert them to plain numbers"):
        nifti.read(save(tmp_path / "x.nii", np.zeros((4, 5, 6), kind)))


@pytest.mark.parametrize("affine", [np.diag([1.0, 1, 0, 1]), np.diag([1.0, np.nan, 1, 1])], ids=["flat", "NaN"])
def test_an_affine_that_places_nothing_is_refused(
    affine: np.ndarray[tuple[int, ...], np.dtype[np.float64]], tmp_path: Path
) -> None:
    image = nib.Nifti1Image(volume(), None)
    image.header.set_sform(affine, code=1)
    nib.save(image, tmp_path / "x.nii")
    with pytest.raises(CohortError, match="the affine is singular or not finite; repair the header"):
        nifti.read(tmp_path / "x.nii")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"gone\.nii\.gz: no such file; restore it or remove it"):
        nifti.read(tmp_path / "gone.nii.gz")


@settings(deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused_wherever_it_ends(
    share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "truncated.nii.gz"
    nifti.write(path, volume(), AFFINE)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CohortError, match=r"truncated\.nii\.gz: not a readable NIfTI file"):
        nifti.read(path)


@settings(deadline=None)
@given(place=st.integers(20, 10_000), bit=st.integers(0, 7))
def test_no_bit_of_a_compressed_file_can_be_changed_unseen(
    place: int, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Or a damaged copy would be trained on as if it were the patient."""
    path = tmp_path_factory.getbasetemp() / "changed.nii.gz"
    noise = np.random.default_rng(0).standard_normal((8, 9, 10)).astype(np.float32)
    nifti.write(path, noise, AFFINE)
    data = bytearray(path.read_bytes())
    data[10 + place % (len(data) - 10)] ^= 1 << bit
    path.write_bytes(data)
    with pytest.raises(CohortError, match=r"changed\.nii\.gz"):
        nifti.read(path)


@settings(deadline=None)
@given(changes=st.dictionaries(st.integers(0, 351), st.integers(0, 255), min_size=1, max_size=4))
def test_a_damaged_header_is_refused_or_read_but_nothing_else(
    changes: dict[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.getbasetemp()
    nifti.write(base / "whole.nii.gz", volume(), AFFINE)
    data = bytearray(gzip.decompress((base / "whole.nii.gz").read_bytes()))
    for place, value in changes.items():
        data[place] = value
    (base / "damaged.nii").write_bytes(data)
    refused = ""
    try:
        voxels, affine = nifti.read(base / "damaged.nii")
    except CohortError as err:
        refused = str(err)
    if refused:
        assert refused.startswith(str(base / "damaged.nii"))
        assert len(refused.splitlines()) == 1
    else:
        assert voxels.ndim == 3
        assert np.isfinite(voxels).all()
        assert np.isfinite(affine).all()
