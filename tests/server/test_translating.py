"""A translator on given files: images on the map's grid, lesions in the brain, and no claim for the inputs."""

import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from server.run.checkpoint import Checkpoint, latest, save_checkpoint
from server.run.folder import RunFolder
from server.run.job import Job
from shared.files import write_durably
from shared.imaging import nifti
from shared.imaging.anatomy import is_parenchyma
from shared.imaging.case_names import case_file
from shared.imaging.orientation import from_ras, to_ras
from shared.imaging.scan import Role
from shared.privacy.events import NoiseSource, NonPrivate, Spending
from shared.recipes.catalogue import load
from tests.cohorts import STROKE_MM, add_stroke_patient, file_of, snapshot
from tests.commands import Outcome, willis
from tests.server.ledgers import DELTA, Story, store_at


def run_at(path: Path, story: Story | None = None, *, recipe: str = "translate-2d") -> Path:
    """Write a finished run whose networks are as they were drawn."""
    told = story or Story()
    plan, folder = told.run(), RunFolder(path)
    private = plan.spending.is_private
    loaded = load(recipe, None, "small", private=private)
    state = {f"model/{name}": value for name, value in loaded.build(1).state_dict().items()}
    checkpoint = Checkpoint(plan.rounds, state)
    store_at(path, replace(told, model=checkpoint.model).events()).close()
    job = Job(
        recipe=recipe,
        variant=loaded.variant,
        preset="small",
        epsilon=8.0 if private else None,
        delta=DELTA,
        rounds=plan.rounds,
        sites=3,
        noise_source=NoiseSource.SYSTEM,
        public_seed=plan.public_seed,
        pretrain=False,
        cases=1,
        nonce="",
    )
    write_durably(folder.job_file, job.model_dump_json().encode())
    save_checkpoint(folder.checkpoints, checkpoint)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_at(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[Role, Path]:
    """One brain of 32 x 28 x 6 voxels, and its lesion."""
    site = tmp_path_factory.mktemp("files")
    add_stroke_patient(site, "sub-1", seed=4)
    return {role: file_of(site, "sub-1", role) for role in (Role.ANATOMY, Role.LESION)}


def drawn(run: Path, out: Path, anatomy: Path, lesion: Path, *more: object) -> Outcome:
    return willis("translate", run, out, "--anatomy", anatomy, "--lesion", lesion, *more)


def volumes(out: Path, name: str = "sub-drawn0001") -> dict[Role, NDArray[np.float32]]:
    roles = (Role.ANATOMY, Role.DWI, Role.LESION)
    return {role: nifti.read(out / case_file(name, role, roles, "drawn"))[0] for role in roles}


def test_a_lesion_in_place_is_clipped_to_the_brain_and_drawn_on_the_maps_grid(
    run: Path, files: dict[Role, Path], tmp_path: Path
) -> None:
    before = snapshot(run)
    outcome = drawn(run, tmp_path / "out", files[Role.ANATOMY], files[Role.LESION], "--in-place")
    assert outcome.status == 0, outcome
    anatomy, affine = nifti.read(files[Role.ANATOMY])
    lesion = nifti.read(files[Role.LESION])[0] > 0
    found = volumes(tmp_path / "out")
    assert np.array_equal(found[Role.ANATOMY], anatomy)
    assert np.array_equal(found[Role.LESION] > 0, lesion & is_parenchyma(anatomy))
    assert found[Role.DWI].shape == anatomy.shape
    assert not found[Role.DWI][:, :, ~(anatomy > 0).any(axis=(0, 1))].any()
    for path in (tmp_path / "out").rglob("*.nii.gz"):
        assert np.allclose(nib.load(path).affine, affine)
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "does NOT cover the map and the masks you gave" in readme
    assert f"| sub-drawn0001 | {files[Role.LESION].name} | {int((found[Role.LESION] > 0).sum())} |" in readme
    assert (tmp_path / "out" / "contact-sheet.png").exists()
    assert snapshot(run) == before  # no release is recorded, and no report made again


def test_a_map_stored_in_another_orientation_gives_the_same_image(
    run: Path, files: dict[Role, Path], tmp_path: Path
) -> None:
    """The same brain and lesion with the first axis leftwards and the last two swapped."""
    flip = np.eye(4)
    flip[0] = -1, 0, 0, 31
    swap = np.eye(4)[[0, 2, 1, 3]]
    for role, path in files.items():
        voxels, affine = nifti.read(path)
        turned = voxels[::-1].transpose(0, 2, 1)
        nifti.write(tmp_path / f"{role.name}.nii.gz", turned, affine @ flip @ swap)
    assert drawn(run, tmp_path / "one", files[Role.ANATOMY], files[Role.LESION], "--in-place").status == 0
    given = tmp_path / "ANATOMY.nii.gz", tmp_path / "LESION.nii.gz"
    assert drawn(run, tmp_path / "two", *given, "--in-place").status == 0
    one, two = volumes(tmp_path / "one"), volumes(tmp_path / "two")
    for role in one:
        assert np.array_equal(one[role][::-1].transpose(0, 2, 1), two[role])


def test_a_lesion_is_placed_in_the_brain_by_the_seed(run: Path, files: dict[Role, Path], tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        given = files[Role.ANATOMY], files[Role.LESION], "--seed", seed
        assert drawn(run, tmp_path / name, *given).status == 0
    one, again, other = (volumes(tmp_path / name) for name in ("one", "again", "other"))
    assert all(np.array_equal(one[role], again[role]) for role in one)
    assert not np.array_equal(one[Role.LESION], other[Role.LESION])
    assert is_parenchyma(one[Role.ANATOMY])[one[Role.LESION] > 0].all()


def test_a_foreign_map_needs_its_table(run: Path, files: dict[Role, Path], tmp_path: Path) -> None:
    anatomy, affine = nifti.read(files[Role.ANATOMY])
    nifti.write(tmp_path / "atlas.nii.gz", np.where(anatomy > 0, anatomy + 1000, 0).astype(np.float32), affine)
    sentence = drawn(run, tmp_path / "out", tmp_path / "atlas.nii.gz", files[Role.LESION]).sentence()
    assert "atlas.nii.gz: the anatomical map holds" in sentence
    assert "map it with a table" in sentence
    numbers = (int(label) for label in np.unique(anatomy) if label)
    (tmp_path / "atlas.csv").write_text("from,to\n" + "".join(f"{n + 1000},{n}\n" for n in numbers))
    table = ("--table", tmp_path / "atlas.csv", "--in-place")
    assert drawn(run, tmp_path / "out", tmp_path / "atlas.nii.gz", files[Role.LESION], *table).status == 0
    assert np.array_equal(volumes(tmp_path / "out")[Role.ANATOMY], anatomy)


def test_masks_that_leave_nothing_are_named(run: Path, files: dict[Role, Path], tmp_path: Path) -> None:
    empty, away = np.zeros((4, 4, 4), np.float32), np.diag([6.0, 6.0, 20.0, 1.0])
    nifti.write(tmp_path / "empty.nii.gz", empty, STROKE_MM)
    sentence = drawn(run, tmp_path / "out", files[Role.ANATOMY], tmp_path / "empty.nii.gz").sentence()
    assert sentence == f"{tmp_path / 'empty.nii.gz'}: no voxel of the mask is above 0.5; leave it out or mend it"
    away[:3, 3] = 5000
    nifti.write(tmp_path / "away.nii.gz", empty + 1, away)
    given = files[Role.ANATOMY], tmp_path / "away.nii.gz", "--in-place"
    sentence = drawn(run, tmp_path / "out", *given).sentence()
    assert sentence.startswith(f"{tmp_path / 'away.nii.gz'}: none of the lesion lies in the map's parenchyma")
    nifti.write(tmp_path / "nobody.nii.gz", empty, STROKE_MM)
    sentence = drawn(run, tmp_path / "out", tmp_path / "nobody.nii.gz", files[Role.LESION]).sentence()
    assert sentence.startswith(f"{tmp_path / 'nobody.nii.gz'}: no voxel of the map is brain")
    assert not (tmp_path / "out").exists()


def test_a_run_that_translates_nothing_is_refused(files: dict[Role, Path], tmp_path: Path) -> None:
    run = run_at(tmp_path / "run", recipe="lesions-3d")
    sentence = drawn(run, tmp_path / "out", files[Role.ANATOMY], files[Role.LESION]).sentence()
    assert sentence == f"{run}: a run of lesions-3d; a run of translate-2d is needed"


def test_a_run_without_noise_draws_by_name_and_says_so(files: dict[Role, Path], tmp_path: Path) -> None:
    run = run_at(tmp_path / "run", Story(plan=Spending.of(NonPrivate(steps=4))))
    given = files[Role.ANATOMY], files[Role.LESION], "--in-place"
    assert "say --unsafe-non-private" in drawn(run, tmp_path / "out", *given).sentence()
    assert drawn(run, tmp_path / "out", *given, "--unsafe-non-private").status == 0
    assert "NOT PRIVATE - NOT FOR PUBLICATION" in (tmp_path / "out" / "README.md").read_text()
    for path in (tmp_path / "out").rglob("*.nii.gz"):
        assert path.name.startswith("sub-unsafe")
        assert b"NOT PRIVATE" in nib.load(path).header["descrip"].tobytes()


def test_what_may_not_be_published_of_a_run_is_not_passed_off_as_protected_by_its_claim(
    files: dict[Role, Path], tmp_path: Path
) -> None:
    stories = {
        "seeded": (Story(noise_source=NoiseSource.SEEDED), b"SIMULATION", "SIMULATION - NOT A RELEASE"),
        "unsettled": (Story(settled=("north",)), b"NOT PRIVATE", "- not settled yet: south, west"),
    }
    for name, (story, mark, words) in stories.items():
        run, out = run_at(tmp_path / name, story), tmp_path / f"{name}-drawn"
        assert drawn(run, out, files[Role.ANATOMY], files[Role.LESION], "--in-place").status == 0
        readme = (out / "README.md").read_text()
        assert words in readme
        assert "so may be the images" not in readme
        for path in out.rglob("*.nii.gz"):
            assert mark in nib.load(path).header["descrip"].tobytes()
            assert "synthetic" not in path.name


def test_weights_that_the_ledger_does_not_name_draw_nothing(
    run: Path, files: dict[Role, Path], tmp_path: Path
) -> None:
    mine = shutil.copytree(run, tmp_path / "run")
    folder = RunFolder(mine)
    state = latest(folder.checkpoints)
    others = {name: value + 1 for name, value in state.arrays.items()}
    save_checkpoint(folder.checkpoints, Checkpoint(state.round, others))
    sentence = drawn(mine, tmp_path / "out", files[Role.ANATOMY], files[Role.LESION]).sentence()
    assert "newest checkpoint are not those of the run in the ledger" in sentence
    assert "newest checkpoint" in willis("dataset", "publish", mine, tmp_path / "more", "--count", 1).sentence()
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "SAL", "ASR"])
def test_turning_to_ras_and_back_is_nothing(axes: str) -> None:
    volume = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    affine = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(axes), (4, 4, 4))
    upright = to_ras(volume, affine)
    assert np.array_equal(from_ras(upright, affine), volume)
    image = nib.as_closest_canonical(nib.Nifti1Image(volume, affine))
    assert np.array_equal(upright, np.asarray(image.dataobj))
