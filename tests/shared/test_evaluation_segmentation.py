"""The segmentation network learns what is easy, does so again from a seed, and says what it cannot use."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shared.errors import CohortError, UsageError
from shared.evaluation.segmentation import build_network, segment, train
from shared.evaluation.utility import HeldOutPatient, Row, compare
from shared.imaging.patches import Patches
from shared.imaging.scan import Role, Scan, Volume

SIZE = 32


def easy_volume(rng: np.random.Generator, slices: int, edge: int) -> tuple[Volume, Volume]:
    """Return an angiogram and its labels (edge, edge, slices): bright discs on noise."""
    i, j = np.mgrid[:edge, :edge]
    label = np.zeros((edge, edge, slices), dtype=np.float32)
    for k in range(slices):
        for _ in range(edge // 12):
            a, b = rng.uniform(4, edge - 4, size=2)
            label[(i - a) ** 2 + (j - b) ** 2 < rng.uniform(9, 25), k] = 1
    noise = rng.normal(100, 15, size=label.shape)
    return np.clip(noise + 120 * label, 0, None).astype(np.float32), label


def easy_pairs(rng: np.random.Generator, count: int = 64) -> Patches:
    image, label = easy_volume(rng, count, SIZE)
    return np.stack([image / 150 - 1, label * 2 - 1]).transpose(3, 0, 1, 2).astype(np.float32)


def easy_patient(rng: np.random.Generator, name: str, sessions: int = 1) -> HeldOutPatient:
    scans = []
    for _ in range(sessions):
        image, label = easy_volume(rng, 4, 70)  # larger than a patch and no multiple of anything
        volumes = {Role.ANGIO: image, Role.VESSELS: label, Role.BRAIN: np.ones_like(label)}
        scans.append(Scan(volumes, np.eye(4)))
    return HeldOutPatient(name, lambda: scans)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from threads, and wait for them when the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    rng = np.random.default_rng(0)
    good, patients = easy_pairs(rng), [easy_patient(rng, "p1"), easy_patient(rng, "p2", sessions=2)]
    shuffled = good.copy()
    shuffled[:, 1] = good[rng.permutation(len(good)), 1]  # labels of other images: nothing to learn
    kinds = {"good": lambda seed: good, "shuffled": lambda seed: shuffled}
    return compare(kinds, "shuffled", patients, steps=80, repeats=1, seed=3)


def test_right_labels_teach_and_wrong_labels_do_not(rows: list[Row]) -> None:
    good, shuffled = rows
    assert good.mean > 0.8
    assert shuffled.mean < 0.4
    assert list(good.dice) == ["p1", "p2"]  # one a patient, though one of them has two sessions


def test_every_training_asks_its_source_anew_and_dice_is_averaged() -> None:
    rng = np.random.default_rng(0)
    asked: list[int] = []

    def source(seed: int) -> Patches:
        asked.append(seed)
        return easy_pairs(np.random.default_rng(seed), 8)

    patients = [easy_patient(rng, "p1"), easy_patient(rng, "p2")]
    (row,) = compare({"only": source}, "only", patients, steps=2, repeats=3, seed=7)
    assert asked == [7, 8, 9]
    assert len(set(row.trainings)) > 1
    assert np.mean(row.trainings) == pytest.approx(row.mean)


def test_the_difference_is_to_the_baseline(rows: list[Row]) -> None:
    good, shuffled = rows
    assert shuffled.against_baseline is None
    assert good.against_baseline is not None
    assert good.against_baseline.estimate == pytest.approx(good.mean - shuffled.mean)
    assert good.against_baseline.low <= good.against_baseline.estimate <= good.against_baseline.high


def test_mean_and_sample_sd_over_patients() -> None:
    row = Row("x", 1, {"p": 0.5, "q": 0.7, "r": 0.9}, (0.7,), None, None, {}, {})
    assert (row.mean, row.sd) == pytest.approx((0.7, 0.2))


def test_the_same_seed_trains_the_same_network_and_another_does_not() -> None:
    pairs = easy_pairs(np.random.default_rng(0), 16)
    before = torch.random.get_rng_state()
    first, again, other = (train(pairs, steps=3, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())  # nobody else's randomness moved
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_networks_built_side_by_side_start_as_they_would_alone() -> None:
    def first_weight(seed: int) -> float:
        return float(next(build_network(seed).parameters()).detach().flatten()[0])

    alone = [first_weight(seed) for seed in range(40)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(first_weight, range(40))) == alone


def test_volumes_train_a_network_that_segments_in_3d() -> None:
    rng = np.random.default_rng(1)
    image, label = easy_volume(rng, 8, SIZE)
    volumes = np.stack([image / 150 - 1, label * 2 - 1])[None].astype(np.float32)
    network = train(volumes, steps=30, seed=0)
    image, label = easy_volume(rng, 8, 40)
    found, vessels = segment(network, image, volumes.shape[2:]), label > 0
    assert 2 * (found & vessels).sum() > 0.8 * (found.sum() + vessels.sum())


def test_network_has_the_stated_size() -> None:
    assert sum(p.numel() for p in build_network(0).parameters()) == 91_457


@pytest.mark.parametrize("window", [(SIZE, SIZE), (SIZE, SIZE, 16)])
@pytest.mark.parametrize("shape", [(70, 45, 2), (20, 40, 1), (40, 33, 21)])
def test_segmentation_covers_volumes_of_any_shape_in_their_own_axes(
    shape: tuple[int, int, int], window: tuple[int, ...]
) -> None:
    """A network that passes its input through finds bright voxels where they are, not transposed."""
    volume = np.zeros(shape, dtype=np.float32)
    volume[3:9, -7:-5, -1] = 100
    found = segment(torch.nn.Identity(), volume, window)
    assert found.shape == shape
    assert np.array_equal(found, volume > 0)


def scaled(factor: float) -> NDArray[np.bool_]:
    image, _ = easy_volume(np.random.default_rng(5), 2, 40)
    return segment(build_network(0).eval(), image * np.float32(factor), (SIZE, SIZE))


def test_scanner_gain_does_not_change_a_segmentation() -> None:
    first = scaled(1.0)
    assert first.any()
    assert np.mean(first != scaled(8.0)) < 1e-3


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        (np.zeros((0, 2, 32, 32), np.float32), "n > 0"),
        (np.zeros((4, 1, 32, 32), np.float32), "n, 2, size, size"),
        (np.zeros((4, 2, 32, 16, 8), np.float32), "n, 2, size, size"),
        (np.ones((4, 2, 32, 32, 12), np.float32), "multiples of 8"),
        (np.ones((4, 2, 36, 36), np.float32), "multiples of 8"),
        (-np.ones((4, 2, 32, 32), np.float32), "labelled vessel"),
    ],
)
def test_pairs_that_cannot_teach_are_refused(pairs: Patches, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        train(pairs, steps=1, seed=0)


def test_a_patient_without_its_label_is_named() -> None:
    rng = np.random.default_rng(0)
    whole = easy_patient(rng, "whole")
    volumes = dict(whole.read()[0].volumes)
    del volumes[Role.VESSELS]
    lacking = HeldOutPatient("sub-x7", lambda: [Scan(volumes, np.eye(4))])
    with pytest.raises(CohortError, match=r"sub-x7.*label-vessels_mask"):
        compare({"a": lambda seed: easy_pairs(rng, 4)}, "a", [whole, lacking], steps=1, repeats=1, seed=0)
