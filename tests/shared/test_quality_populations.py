"""Populations keep their patients, intervals hold the truth, and a model that remembers patients is found."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from shared.errors import UsageError
from shared.evaluation.quality import vessel_encoder
from shared.evaluation.quality.comparison import HELD_OUT, TRAINING, assess
from shared.evaluation.quality.distributions import intensities, vessel_radii, vessel_shares
from shared.evaluation.quality.figure import quality_figure
from shared.evaluation.quality.frechet import frechet_distance
from shared.evaluation.quality.nearest_patients import nearest_patients
from shared.evaluation.quality.networks import FeatureNetwork, torchscript_network
from shared.evaluation.quality.population import Features, Images, Population, Vectors
from shared.evaluation.quality.resampling import half_samples, interval
from shared.evaluation.quality.vessel_encoder import Encoder, build_encoder, public_vessel_encoder
from shared.phantoms.vessels import draw_parameters, simulate


class Moments(nn.Module):
    """Three features: mean, spread and roughness of an image."""

    def forward(self, images: Tensor) -> Tensor:
        flat = images.flatten(1)
        rough = (images[..., 1:] - images[..., :-1]).abs().flatten(1).mean(dim=1)
        return torch.stack([flat.mean(dim=1), flat.std(dim=1), rough], dim=1)


MOMENTS = FeatureNetwork("moments", Moments(), spatial=2)


def phantoms(seed: int, patients: int, patches: int = 2, size: int = 32) -> list[Images]:
    rng = np.random.default_rng(seed)
    return [simulate(theta, patches, size, rng) for theta in draw_parameters(patients, rng)]


def grouped(vectors: Vectors, images: int = 1) -> Features:
    return Features(vectors, np.repeat(np.arange(len(vectors) // images), images), "a network")


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any), st.integers(1, 20), st.integers(0, 99))
def test_a_draw_is_as_even_as_can_be(sizes: Sequence[int], count: int, seed: int) -> None:
    images = np.arange(sum(sizes), dtype=np.float32)[:, None, None, None]
    population = Population(images, np.repeat(np.arange(len(sizes)), sizes))
    drawn = population.drawn(count, np.random.default_rng(seed))
    assert len(drawn) == min(count, len(images))
    assert len(np.unique(drawn.images)) == len(drawn)  # nobody twice
    assert (population.patients[drawn.images.ravel().astype(int)] == drawn.patients).all()
    left = np.array(sizes) - np.bincount(drawn.patients, minlength=len(sizes))
    taken = np.bincount(drawn.patients, minlength=len(sizes))
    assert taken[left > 0].min(initial=99) >= taken.max() - 1  # who has images left is at most one behind


def test_volumes_become_slices_of_their_patients() -> None:
    volumes = np.random.default_rng(0).normal(size=(2, 2, 8, 8, 3)).astype(np.float32)
    slices = Population(volumes, np.array([4, 7])).slices()
    assert slices.patients.tolist() == [4, 4, 4, 7, 7, 7]
    assert np.array_equal(slices.images[4], volumes[1, ..., 1])


@pytest.mark.parametrize(
    ("images", "patients", "match"),
    [
        (np.zeros((0, 1, 4, 4)), [], "n > 0"),
        (np.zeros((2, 4, 4)), [0, 1], "channels"),
        (np.zeros((2, 1, 4, 4)), [0], "one each"),
    ],
)
def test_what_is_no_population_is_refused(images: Images, patients: list[int], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        Population(images, np.array(patients))
    with pytest.raises(UsageError, match="one shape"):
        Population.of([np.zeros((1, 1, 4, 4), np.float32), np.zeros((1, 1, 5, 5), np.float32)])


@given(st.integers(4, 20), st.integers(4, 20), st.integers(0, 99))
def test_halves_are_of_whole_patients_without_repetition(first: int, second: int, seed: int) -> None:
    groups = np.repeat(np.arange(first), 3), np.arange(second) + 100
    for one, other in half_samples(*groups, rng=np.random.default_rng(seed), resamples=5):
        assert len(np.unique(one)) == len(one) == 3 * (first // 2)
        assert len(np.unique(groups[0][one])) == first // 2
        assert len(other) == second // 2


def test_too_few_patients_for_halves() -> None:
    with pytest.raises(UsageError, match=r"3 patients.*4"):
        next(half_samples(np.array([0, 0, 1, 2]), rng=np.random.default_rng(0)))


def test_interval_holds_the_truth_about_as_often_as_stated() -> None:
    """Images of a patient are alike, so an interval over images would be too narrow: patients are what counts."""
    rng = np.random.default_rng(0)
    hits, narrow = 0, 0
    for _ in range(100):
        values = np.repeat(rng.normal(size=16), 8) + 0.1 * rng.normal(size=128)
        for groups in (np.repeat(np.arange(16), 8), np.arange(128)):
            halves = half_samples(groups, rng=rng, resamples=60)
            found = interval(values.mean(), [values[rows].mean() for (rows,) in halves], low=-np.inf)
            hits += (found.low < 0 < found.high) * (groups.max() == 15)
            narrow += (found.low < 0 < found.high) * (groups.max() == 127)
    assert 0.85 < hits / 100 < 1
    assert narrow / 100 < 0.7


def test_interval_of_fid_holds_its_mean_about_as_often_as_stated() -> None:
    rng = np.random.default_rng(0)
    estimates, intervals = [], []
    for _ in range(40):
        first, second = grouped(rng.normal(size=(120, 6))), grouped(rng.normal(0.3, 0.8, (120, 6)))
        halves = half_samples(first.patients, second.patients, rng=rng, resamples=60)
        estimates.append(frechet_distance(first, second))
        spread = [frechet_distance(first.rows(i), second.rows(j)) for i, j in halves]
        intervals.append(interval(estimates[-1], spread))
    truth = np.mean(estimates)  # of this many images: FID is biased by their number
    assert np.mean([found.low <= truth <= found.high for found in intervals]) > 0.85


@pytest.mark.parametrize("images", [1, 3])
def test_a_model_that_remembers_is_nearer_to_its_patients(images: int) -> None:
    rng = np.random.default_rng(0)
    training, others = grouped(rng.normal(size=(60, 5)), images), grouped(rng.normal(size=(90, 5)), images)
    copies = grouped(training.vectors + 0.01 * rng.normal(size=(60, 5)))
    fresh = grouped(rng.normal(size=(80, 5)))
    remembered, honest = (nearest_patients(some, training, others, rng) for some in (copies, fresh))
    assert remembered.patients == 60 // images
    assert remembered.share == 1
    assert remembered.p_value < 0.001
    assert honest.chance[0] <= honest.share <= honest.chance[1]


def test_more_training_patients_are_no_nearer_by_their_number() -> None:
    """With 200 patients against 10 the nearest is mostly of the 200: numbers are made equal first."""
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(12):
        many, few = grouped(rng.normal(size=(200, 4)), 2), grouped(rng.normal(size=(10, 4)), 1)
        shares.append(nearest_patients(grouped(rng.normal(size=(50, 4))), many, few, rng).share)
    assert 0.4 < np.mean(shares) < 0.6


def test_chance_is_as_wide_as_it_says() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(40):
        candidate, training, others = (grouped(rng.normal(size=(n, 3)), 2) for n in (60, 24, 24))
        found = nearest_patients(candidate, training, others, rng)
        hits += found.chance[0] <= found.share <= found.chance[1]
    assert hits / 40 > 0.87


def test_an_image_at_the_same_distance_counts_half() -> None:
    training, others = grouped(np.array([[0.0], [1.0]])), grouped(np.array([[0.0], [1.0]]))
    found = nearest_patients(grouped(np.array([[0.2], [0.9]])), training, others, np.random.default_rng(0))
    assert found.share == 0.5
    with pytest.raises(UsageError, match="two training"):
        nearest_patients(training, training, grouped(np.array([[0.0]])), np.random.default_rng(0))


def test_radii_are_those_of_a_disc_a_bar_and_a_ball() -> None:
    i, j = np.mgrid[:41, :41] - 20
    disc = np.hypot(i, j) < 6
    bar = (np.abs(i) <= 2) & (np.abs(j) < 99)  # runs out of the image, which is no wall
    images = np.stack([disc, bar])[:, None].repeat(2, axis=1) * 2.0 - 1
    population = Population.each_alone(images.astype(np.float32))
    radii = vessel_radii(Population.each_alone(population.images[:1]))
    assert radii.max() == pytest.approx(6, abs=0.5)
    assert set(vessel_radii(Population.each_alone(population.images[1:]))) == {3.0}
    assert vessel_shares(population)[1] == pytest.approx(5 / 41)
    assert set(intensities(population)) == {-1.0, 1.0}
    ball = (np.hypot(np.hypot(i[..., None], j[..., None]), np.arange(-20, 21)) < 5)[None, None]
    volume = Population.each_alone(np.repeat(ball * 2.0 - 1, 2, axis=1).astype(np.float32))
    assert vessel_radii(volume).max() == pytest.approx(5, abs=0.5)


def save_script(path: Path, network: nn.Module, image: Tensor) -> Path:
    torch.jit.trace(network, image).save(str(path))  # type: ignore[no-untyped-call]
    return path


def test_a_torchscript_file_is_named_and_gives_its_features(tmp_path: Path) -> None:
    network = torchscript_network(save_script(tmp_path / "mine.pt", Moments(), torch.rand(2, 1, 8, 8)))
    population = Population.of(phantoms(0, 3))
    found = network.features(population)
    assert network.name.startswith("mine.pt (")
    assert np.allclose(found.vectors, MOMENTS.features(population).vectors)
    assert (found.network, found.patients.tolist()) == (network.name, [0, 0, 1, 1, 2, 2])


def test_volumes_go_to_a_network_of_volumes(tmp_path: Path) -> None:
    network = torchscript_network(save_script(tmp_path / "deep.pt", Moments(), torch.rand(2, 1, 4, 4, 4)))
    volumes = Population.each_alone(np.random.default_rng(0).uniform(-1, 1, (3, 1, 4, 4, 4)).astype(np.float32))
    assert network.features(volumes).vectors.shape == (3, 3)
    with pytest.raises(UsageError, match=r"2D images.*slices"):
        MOMENTS.features(volumes)


@pytest.mark.parametrize(
    ("network", "match"),
    [
        (nn.Conv2d(1, 2, 3), r"returns shape \(2, 2, 30, 30\).*pooling"),
        (nn.Conv2d(3, 2, 3), r"does not take images of shape \(1, 1, 32, 32\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), "does not take images"),
    ],
)
def test_networks_that_do_not_fit_are_refused(network: nn.Module, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        FeatureNetwork("theirs", network, spatial=None).features(Population.of(phantoms(0, 1)))


def test_what_is_no_torchscript_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"not a network")
    for name in ("weights.pt", "absent.pt"):
        with pytest.raises(UsageError, match=f"{name}.*TorchScript"):
            torchscript_network(tmp_path / name)


def test_the_encoder_is_rebuilt_to_the_bit_and_moves_nobodys_randomness() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (build_encoder(seed, patients=6, steps=3).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_encoder_is_kept_and_a_spoilt_file_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []

    def build() -> Encoder:
        built.append(len(built))
        return build_encoder(seed=len(built), patients=6, steps=1)

    monkeypatch.setattr(vessel_encoder, "build_encoder", build)
    population = Population.of(phantoms(0, 3))
    found = []
    for _ in range(3):
        public_vessel_encoder.cache_clear()
        found.append(public_vessel_encoder(tmp_path).features(population))
        if len(found) == 2:
            (file,) = tmp_path.glob("public-vessel-encoder-*.safetensors")
            file.write_bytes(file.read_bytes()[:100])
    public_vessel_encoder.cache_clear()
    assert built == [0, 1]
    assert np.array_equal(found[0].vectors, found[1].vectors)
    assert not np.array_equal(found[0].vectors, found[2].vectors)
    assert found[0].network.startswith("public-vessel-encoder v1 (64 features, build ")
    assert found[0].vectors.shape == (6, 64)


@pytest.mark.slow
def test_the_encoder_sees_what_spoils_images() -> None:
    """Phantoms like the reference are nearer to it than blurred, noisy, repeated, dim or vessel-less ones."""
    network = FeatureNetwork("built here", build_encoder().eval(), spatial=2)
    rng = np.random.default_rng(0)
    same, reference = (
        Population.of(phantoms(5, 300, patches=1, size=64)),
        Population.of(phantoms(6, 300, patches=1, size=64)),
    )
    bare = same.images.copy()
    bare[:, 0] = np.where(bare[:, 1] > 0, np.median(bare[:, 0]), bare[:, 0])
    spoilt = {
        "blurred": gaussian_filter(same.images, (0, 0, 1, 1)),
        "noisy": same.images + rng.normal(0, 0.1, same.images.shape).astype(np.float32),
        "repeated": same.images[np.arange(300) % 30],
        "dim": same.images - 0.1,
        "without vessels": bare,
    }
    target = network.features(reference)
    floor = frechet_distance(network.features(same), target)
    for name, images in spoilt.items():
        found = frechet_distance(network.features(Population.each_alone(images)), target)
        assert found > 2 * floor, name


@pytest.fixture(scope="module")
def sides() -> dict[str, Population]:
    rng = np.random.default_rng(0)
    training, others, more = (Population.of(phantoms(seed, 24)) for seed in (1, 2, 3))
    noisy = more.images + rng.normal(0, 0.3, more.images.shape).astype(np.float32)
    return {
        "training": training,
        "held out": others,
        "same": more,
        "noisy": Population(noisy, more.patients),
        "copies": training,
    }


def test_all_measures_side_by_side(sides: dict[str, Population]) -> None:
    kinds = {name: sides[name] for name in ("same", "noisy", "copies")}
    steps: list[int] = []
    found = assess(kinds, sides["training"], sides["held out"], MOMENTS, seed=1, on_step=lambda: steps.append(1))
    rows = {row.name: row for row in found.rows}
    assert list(rows) == [HELD_OUT, "same", "noisy", "copies"]
    assert found.network == "moments"
    assert len(steps) == 4
    assert all(row.images == 48 for row in found.rows)
    fid = {name: row.fid_training.estimate for name, row in rows.items() if row.fid_training}
    assert fid["noisy"] > 3 * max(fid[HELD_OUT], fid["same"])
    assert fid["copies"] == pytest.approx(0, abs=1e-9)
    assert rows["noisy"].prd_area.estimate < rows["same"].prd_area.estimate
    assert rows["copies"].authenticity.estimate == 0 < rows["same"].authenticity.estimate
    assert rows["copies"].nearest is not None
    assert rows["copies"].nearest.share == 1
    assert rows[HELD_OUT].fid_held_out is None
    assert rows[HELD_OUT].nearest is None
    for row in found.rows:
        for one in (row.prd_area, row.alpha_precision, row.beta_recall, row.authenticity, row.ssim):
            assert -1 <= one.low <= one.estimate <= one.high <= 1


def test_same_seed_same_figures_and_fewer_images_give_no_fid(sides: dict[str, Population]) -> None:
    few = sides["same"].drawn(7, np.random.default_rng(0))
    wide = FeatureNetwork("wide", nn.Sequential(nn.AdaptiveAvgPool2d(3), nn.Flatten()), spatial=2)
    first, again = (assess({"few": few}, sides["training"], sides["held out"], wide, seed=2) for _ in range(2))
    assert first.rows[1].images == 7
    assert first.rows[1].fid_training is None  # nine features
    assert first.rows[1].ssim == again.rows[1].ssim
    assert first.rows[1].beta_recall == again.rows[1].beta_recall


def test_patches_of_two_sizes_are_not_compared(sides: dict[str, Population]) -> None:
    with pytest.raises(UsageError, match="one size"):
        assess({"small": Population.of(phantoms(0, 4, size=24))}, sides["training"], sides["held out"], MOMENTS)


def test_the_figure_is_the_same_again_and_large_enough_to_read(sides: dict[str, Population]) -> None:
    kinds = {TRAINING: sides["training"], "noisy": sides["noisy"]}
    features = {name: MOMENTS.features(population) for name, population in kinds.items()}
    first, again = (quality_figure(kinds, features, "a note") for _ in range(2))
    assert first == again
    assert Image.open(io.BytesIO(first)).size >= (1000, 700)
    assert quality_figure(kinds, features, "another note") != first
