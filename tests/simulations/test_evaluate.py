"""`willis evaluate`, end to end on tiny data: the right rows, the claim in full, repeatable, and strict."""

import json
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor, nn

from server.dataset.files.cases import write_cases
from shared.errors import CohortError, UsageError
from shared.evaluation.bootstrap import Interval
from shared.evaluation.published import find_published
from shared.evaluation.quality.comparison import Assessment, Quality
from shared.evaluation.quality.nearest_patients import NearestPatients
from shared.imaging import nifti
from shared.imaging.scan import Role, Scan, Volume
from shared.phantoms.dwi import simulate_patients
from shared.recipes.vessel_records import as_scans
from simulations.evaluate import evaluate
from simulations.evaluation.quality import verdict
from simulations.hospitals.cohort import Plan, write_cohorts

EDGE = 32
CLAIM = "ε = 7.99 (δ = 1e-05; unit: patient; add/remove; PLD, dp-accounting)"


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from threads, and wait for them when the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tubes(rng: np.random.Generator, slices: int) -> tuple[Volume, Volume]:
    label = np.zeros((40, 40, slices), dtype=np.float32)
    for k in range(slices):
        i, j = rng.integers(4, 34, size=2)
        label[i : i + 3, j : j + 3, k] = 1
    return rng.normal(50, 5, label.shape).astype(np.float32) + 100 * label, label


def write_patient(site: Path, name: str, volumes: dict[Role, Volume]) -> None:
    for role, voxels in volumes.items():
        nifti.write(site / name / "anat" / f"{name}_{role.value}.nii.gz", voxels, np.diag([2.0, 2, 2, 1]))


def vessel_cohorts(folder: Path, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    for site in ("site-a", "site-b"):
        for number in (1, 2):
            image, label = tubes(rng, 3)
            volumes = {Role.ANGIO: image, Role.VESSELS: label, Role.BRAIN: np.ones_like(label)}
            write_patient(folder / site, f"sub-{number}", volumes)
    return folder


def data_set(run: Path, prefix: str = "syn") -> Path:
    image, label = tubes(np.random.default_rng(9), 8)
    pairs = np.stack([np.clip(image / 75 - 1, -1, 1), label * 2 - 1]).transpose(3, 0, 1, 2)[:, :, :EDGE, :EDGE]
    (run / "dataset").mkdir(parents=True)
    write_cases(run / "dataset", as_scans(pairs.astype(np.float32)), prefix=prefix, description="synthetic")
    if prefix == "syn":
        claims = {"maximum": {"text": CLAIM}, "noise_in_words": "a seed"}
        description = json.dumps({"DifferentialPrivacy": claims})
        (run / "dataset" / "dataset_description.json").write_text(description)
    return run


def lesion(rng: np.random.Generator) -> Volume:
    """A box with even edges: its centre is a voxel corner, so that finer voxels give the same grid."""
    mask = np.zeros((48, 48, 48), dtype=np.float32)
    i, j, k = 2 * rng.integers(4, 12, size=3)
    mask[12 : 12 + i, 10 : 10 + j, 20 : 20 + k] = 1
    return mask


def call(*arguments: object) -> Result:
    done = CliRunner().invoke(evaluate, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("evaluate")
    return {
        "run": data_set(folder / "run"),
        "real": vessel_cohorts(folder / "real", 1),
        "held out": vessel_cohorts(folder / "held-out", 2),
    }


def test_report_has_every_row_the_claim_in_full_and_the_warning(places: dict[str, Path]) -> None:
    shown = call(
        places["run"],
        "--real",
        places["real"],
        "--held-out",
        places["held out"],
        "--steps",
        2,
        "--repeats",
        3,
        "--combined",
        "--quick",
    ).output
    found = json.loads((places["run"] / "dataset-evaluation.json").read_text())
    for words in (CLAIM, "noise from a seed", "Simulation only", "may not leave a hospital", "public (free)"):
        assert words in shown
    assert found["claim"].startswith(CLAIM)
    rows = {row["trained_on"]: row for row in found["rows"]}
    assert [row["training_pairs"] for row in rows.values()] == [8, 8, 8, 16, 16]
    assert list(rows)[-2:] == ["synthetic + public", "real + synthetic"]
    assert "Added to real pairs they" in shown
    assert "image_quality" not in found
    assert not (places["run"] / "dataset-evaluation.png").exists()
    for row in rows.values():
        assert list(row["dice_of_each_patient"]) == [
            "site-a/sub-1",
            "site-a/sub-2",
            "site-b/sub-1",
            "site-b/sub-2",
        ]
        for measure in ("dice", "hd95_mm", "bahd_mm"):
            of_each = list(row[f"{measure}_of_each_patient"].values())
            assert row[f"{measure}_mean"] == pytest.approx(np.mean(of_each))
    for yardstick, name in (("minus_public_simulator", "public (free)"), ("minus_real", "real (ceiling)")):
        assert [other for other, row in rows.items() if row[yardstick] is None] == [name]


def test_same_seed_same_bytes_and_the_run_names_its_cohorts(places: dict[str, Path], tmp_path: Path) -> None:
    (places["run"] / "simulation.json").write_text(json.dumps({"cohorts": str(places["real"]), "seed": 1}))
    written = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        out = tmp_path / f"{name}.json"
        call(
            places["run"],
            "--held-out",
            places["held out"],
            "--steps",
            3,
            "--repeats",
            1,
            "--seed",
            seed,
            "--out",
            out,
            "--quick",
        )
        written.append(out.read_bytes())
    assert written[0] == written[1] != written[2]


class Moments(nn.Module):
    """Two features: mean and spread of an image."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([images.flatten(1).mean(dim=1), images.flatten(1).std(dim=1)], dim=1)


def evaluate_with_moments(places: dict[str, Path], folder: Path) -> tuple[str, Path]:
    network = folder / "moments.pt"
    torch.jit.trace(Moments(), torch.rand(2, 1, EDGE, EDGE)).save(str(network))  # type: ignore[no-untyped-call]
    where = "--real", places["real"], "--held-out", places["held out"], "--features", network
    shown = call(places["run"], *where, "--steps", 1, "--repeats", 1, "--out", folder / "found.json").output
    return shown, folder / "found.json"


def test_image_quality_names_its_network_and_is_drawn(places: dict[str, Path], tmp_path: Path) -> None:
    shown, target = evaluate_with_moments(places, tmp_path)
    found = json.loads(target.read_text())
    quality = found["image_quality"]
    assert quality["features"].startswith("moments.pt (")
    assert quality["features"] in shown
    assert found["note"].startswith("Simulation only")
    rows = {row["images_of"]: row for row in quality["rows"]}
    assert list(rows) == ["real, held out", "public (free)", "synthetic"]
    assert all(row["images"] == 8 for row in rows.values())
    assert rows["synthetic"]["fid_training"]["value"] > 0
    assert rows["real, held out"]["fid_held_out"] is None
    assert rows["synthetic"]["nearest_patients"]["patients_of_each_kind"] == 4
    for words in ("PRD, area", "α-precision", "β-recall", "authenticity", "SSIM", "chance gives"):
        assert words in shown
    assert target.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("nearer", "words"), [(9, "patients may be REMEMBERED"), (5, "no sign of copies")])
def test_copies_of_patients_are_said_to_be_remembered(nearer: int, words: str) -> None:
    """Of ten images so many lie nearer to a training patient, where chance gives three to seven."""
    one = Interval(0.5, 0.4, 0.6)
    is_nearer = (np.arange(10) < nearer).astype(np.float64)
    nearest = NearestPatients(1 - is_nearer, is_nearer, 4, (0.3, 0.7), 0.01)
    row = Quality("synthetic", 10, None, None, one, 0.5, 0.5, one, one, one, one, nearest)
    found = verdict(Assessment("a network", [row], {}, {}))
    assert f"{10 * nearer} %" in found
    assert "chance gives 30 to 70 %" in found
    assert words in found
    assert "No FID" in found


def test_vessels_outside_the_brain_count_where_all_are_asked_for(places: dict[str, Path], tmp_path: Path) -> None:
    held_out = vessel_cohorts(tmp_path / "held-out", 2)
    for path in held_out.rglob("*brain_mask.nii.gz"):
        brain, affine = nifti.read(path)
        brain[:, :12] = 0
        nifti.write(path, brain, affine)
    found = {}
    for tissue in ("intracranial", "all"):
        out = tmp_path / f"{tissue}.json"
        where = "--real", places["real"], "--held-out", held_out, "--tissue", tissue, "--quick", "--out", out
        call(places["run"], *where, "--steps", 3, "--repeats", 1)
        found[tissue] = json.loads(out.read_text())
    assert found["all"]["what"].endswith("of all vessels")
    assert found["all"]["rows"][0]["dice_mean"] != found["intracranial"]["rows"][0]["dice_mean"]


def test_too_few_patients_for_image_quality_are_said_before_the_work(
    places: dict[str, Path], tmp_path: Path
) -> None:
    few = tmp_path / "held-out"
    shutil.copytree(places["held out"] / "site-a", few / "site-a")
    with pytest.raises(UsageError, match=r"2 held-out patients.*--quick"):
        call(places["run"], "--real", places["real"], "--held-out", few)


def test_a_patient_that_was_trained_on_is_not_held_out(places: dict[str, Path], tmp_path: Path) -> None:
    renamed = tmp_path / "other" / "sub-77" / "anat"
    renamed.mkdir(parents=True)
    for path in (places["real"] / "site-b" / "sub-2" / "anat").iterdir():
        (renamed / path.name.replace("sub-2", "sub-77")).write_bytes(path.read_bytes())
    write_patient(
        tmp_path / "other",
        "sub-78",
        dict.fromkeys([Role.ANGIO, Role.VESSELS, Role.BRAIN], lesion(np.random.default_rng(0))),
    )
    with pytest.raises(UsageError, match=r"other/sub-77 is the training patient site-b/sub-2"):
        call(places["run"], "--real", places["real"], "--held-out", tmp_path / "other")


def test_held_out_patients_need_a_brain_mask(places: dict[str, Path], tmp_path: Path) -> None:
    held_out = vessel_cohorts(tmp_path / "held-out", 3)
    (held_out / "site-b" / "sub-1" / "anat" / "sub-1_label-brain_mask.nii.gz").unlink()
    with pytest.raises(CohortError, match=r"site-b.*sub-1.*label-brain_mask"):
        call(places["run"], "--real", places["real"], "--held-out", held_out)


def test_samples_without_noise_are_marked(places: dict[str, Path], tmp_path: Path) -> None:
    run = data_set(tmp_path / "run", prefix="unsafe")
    options = ("--real", places["real"], "--held-out", places["held out"], "--steps", 1, "--repeats", 1, "--quick")
    shown = call(run / "dataset", *options).output
    assert "NOT PRIVATE: ε = ∞" in shown
    assert "No verdict" in shown  # from one training
    assert json.loads((run / "dataset-evaluation.json").read_text())["private"] is False


def test_a_data_set_without_a_claim_is_not_taken_for_private(tmp_path: Path) -> None:
    run = data_set(tmp_path / "run")
    (run / "dataset" / "dataset_description.json").unlink()
    assert not find_published(run).is_private


def test_an_image_without_its_label_is_named(tmp_path: Path) -> None:
    run = data_set(tmp_path / "run")
    lost = next((run / "dataset").glob("sub-syn0004/anat/*vessels*"))
    lost.unlink()
    with pytest.raises(UsageError, match=lost.name):
        find_published(run).pairs()


def test_published_pairs_read_back_as_they_were_drawn(tmp_path: Path) -> None:
    pairs = np.random.default_rng(0).uniform(-1, 1, (5, 2, EDGE, EDGE)).astype(np.float32)
    write_cases(tmp_path, as_scans(pairs), prefix="syn", description="synthetic")
    found = find_published(tmp_path).pairs()
    assert np.allclose(found[:, 0] * 2 - 1, pairs[:, 0], atol=1e-5)
    assert np.array_equal(found[:, 1], np.sign(pairs[:, 1]))


def test_what_is_no_data_set_is_refused_with_the_way_to_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="willis dataset publish RUN OUT"):
        find_published(tmp_path)


def test_cohorts_must_be_given_when_the_run_does_not_name_them(tmp_path: Path, places: dict[str, Path]) -> None:
    run = data_set(tmp_path / "run")
    with pytest.raises(UsageError, match="--real COHORTS"):
        call(run, "--held-out", places["held out"])


def test_lesion_masks_are_compared_as_populations(tmp_path: Path) -> None:
    """Masks equal to the held-out ones have distance 0, whatever their voxels; larger ones do not."""
    rng = np.random.default_rng(0)
    held = [lesion(rng) for _ in range(6)]
    for number, mask in enumerate(held):
        write_patient(tmp_path / "held" / "site-a", f"sub-{number}", {Role.LESION: mask})
        write_patient(tmp_path / "real" / "site-a", f"sub-{number}", {Role.LESION: lesion(rng)})
    fine = (mask.repeat(2, 0).repeat(2, 1).repeat(2, 2) for mask in held)
    scans = [Scan({Role.LESION: mask}, np.eye(4)) for mask in fine]  # 1 mm where the held-out ones have 2 mm
    for name, some in {"samples": scans, "twin": scans[:3]}.items():
        (tmp_path / name).mkdir()
        write_cases(tmp_path / name, some, prefix="syn", description="synthetic")
    places = "--real", tmp_path / "real", "--held-out", tmp_path / "held", "--beside", tmp_path / "twin"
    shown = call(tmp_path / "samples", *places).output
    rows = {r["masks"]: r for r in json.loads((tmp_path / "samples-evaluation.json").read_text())["rows"]}
    assert rows["synthetic"]["ks_distance_volume"] == rows["synthetic"]["ks_distance_components"] == 0
    assert rows["public (free)"]["ks_distance_volume"] > 0
    assert rows["twin"]["number"] == 3
    assert rows["synthetic"]["median_volume_ml"] == pytest.approx(
        np.median([m.sum() * 0.008 for m in held]), rel=0.2
    )
    assert "UNKNOWN PRIVACY" in shown
    assert (tmp_path / "samples-evaluation.png").read_bytes().startswith(b"\x89PNG")


def stroke_data_set(run: Path) -> Path:
    scans = list(islice(simulate_patients((32, 32, 16), np.random.default_rng(4)), 6))
    (run / "dataset").mkdir(parents=True)
    write_cases(run / "dataset", scans, prefix="syn", description="synthetic")
    return run


def test_strokes_have_every_row_and_any_image_can_be_outlined(tmp_path: Path) -> None:
    run = stroke_data_set(tmp_path / "run")
    for name, first in (("real", 1), ("held-out", 101)):
        write_cohorts(Plan("dwi", 1, 4, 1, (32, 32, 16), first=first), tmp_path / name)
    odd = nifti.read(next((tmp_path / "held-out").rglob("*_dwi.nii.gz")))[0][::-1, :30, :9]
    nifti.write(tmp_path / "odd.nii.gz", odd, np.diag([-7.0, 6.5, 12, 1]))
    places = ("--real", tmp_path / "real", "--held-out", tmp_path / "held-out")
    few = ("--steps", 1, "--repeats", 1, "--combined", "--outline", tmp_path / "odd.nii.gz")
    shown = call(run, *places, *few).output
    found = json.loads((run / "dataset-evaluation.json").read_text())
    assert [row["trained_on"] for row in found["rows"]] == [
        "real (ceiling)",
        "public (free)",
        "synthetic",
        "synthetic + public",
        "real + synthetic",
    ]
    assert "No verdict: too few trainings" in shown
    assert "Simulation only" in shown
    mask, affine = nifti.read(run / "dataset-evaluation-odd-lesion.nii.gz")
    assert mask.shape == odd.shape
    assert np.array_equal(affine, np.diag([-7.0, 6.5, 12, 1]))
    assert (run / "dataset-evaluation-outlines.png").stat().st_size > 0


def test_only_strokes_can_be_outlined(places: dict[str, Path]) -> None:
    image = next(places["real"].rglob("*_angio.nii.gz"))
    done = CliRunner().invoke(
        evaluate, [str(places["run"]), "--held-out", str(places["held out"]), "--outline", str(image)]
    )
    assert done.exit_code == 2
    assert "needs a data set of strokes" in done.output
