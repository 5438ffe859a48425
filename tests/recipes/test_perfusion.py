"""Recipe `perfusion-2d`: what its records hold, what its loss weighs, and maps drawn of a whole series."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from shared.errors import CohortError
from shared.imaging.perfusion.frames import FRAMES, frames_of
from shared.imaging.perfusion.windows import MAPS, TOPS, to_window
from shared.imaging.scan import Role, Scan, Timing
from shared.models.perfusion_unet import PUBLISHED
from shared.recipes import perfusion_2d
from shared.recipes.base import GradientPhase, Recipe, state_of
from shared.recipes.catalogue import load
from shared.recipes.perfusion_2d import Perfusion
from shared.recipes.perfusion_records import draw_maps, records
from shared.recipes.translation import PairedPhase
from shared.recipes.wasserstein import SMOOTHED

VARIANTS = ("pix2pix", "temp-pix2pix", "temp-pix2pix-fine", "private")
SHAPE = (64, 48, 3)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scan(seed: int = 0, *, gain: float = 1.0) -> Scan:
    """Return a brain in the first two of three slices, whose curves differ in height and delay."""
    random = np.random.default_rng(seed)
    brain = np.zeros(SHAPE, np.float32)
    brain[10:-10, 6:-6, :2] = 1
    flow, delay = brain * random.uniform(20, 80, SHAPE), brain * random.uniform(0, 5, SHAPE)
    after = np.maximum(1.5 * np.arange(50) - 20 - delay[..., None], 0)
    agent = flow[..., None] / 50 * (after / 2) ** 3 * np.exp(3 - after / 2) / 27
    volumes = {Role.DSC: (gain * 300 * brain[..., None] * np.exp(-agent)).astype(np.float32), Role.BRAIN: brain}
    for role, factor in zip(MAPS, (1.0, 0.1, 0.15, 0.1, 0.2), strict=True):
        volumes[role] = (factor * flow).astype(np.float32)
    return Scan(volumes, np.eye(4), Timing(1.5, 0.03))


def recipe_of(variant: str = "pix2pix", **settings: float | str) -> Recipe:
    return load("perfusion-2d", variant, "small", settings=settings)


class First(nn.Module):
    """Draws, in place of maps, the first frames it sees."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.maps, self.weight = maps, nn.Parameter(torch.ones(()))

    def forward(self, frames: Tensor) -> Tensor:
        return frames[:, 20 : 20 + self.maps] * self.weight


def test_records_are_frames_and_windowed_maps_of_slices_with_brain() -> None:
    case = scan()
    drawn = records([case], 64).draw(50, rng())
    assert drawn.shape == (50, FRAMES + len(MAPS), 64, 64)
    assert len({tuple(slice_[FRAMES].flatten().tolist()) for slice_ in drawn}) == 2
    frames = frames_of(case.volumes[Role.DSC], case.volumes[Role.BRAIN] > 0, Timing(1.5, 0.03))
    for slice_ in drawn[:4]:
        k = next(k for k in range(2) if np.allclose(slice_[13, :, 8:-8], frames[:, :, k, 13], atol=1e-2))
        for n, role in enumerate(MAPS):
            expected = to_window(role, case.volumes[role][:, :, k])
            np.testing.assert_allclose(slice_[FRAMES + n, :, 8:-8], expected, atol=1e-3)
    assert float(drawn[:, :FRAMES, :, :8].abs().max()) == 0  # beside the image
    assert float(drawn[:, FRAMES:, :, :8].max()) == -1


def test_maps_outside_the_brain_do_not_count() -> None:
    case, odd = scan(), scan()
    odd.volumes[Role.CBF][:5] = 50
    torch.testing.assert_close(records([odd], 64).draw(4, rng()), records([case], 64).draw(4, rng()))


def test_records_do_not_tell_of_the_scanners_gain() -> None:
    one, brighter = (records([scan(gain=gain)], 64).draw(4, rng()) for gain in (1.0, 7.0))
    torch.testing.assert_close(one, brighter, atol=2e-3, rtol=0)


def test_records_of_all_sessions_are_drawn() -> None:
    drawn = records([scan(0), scan(1)], 64).draw(100, rng())
    assert len({tuple(slice_[FRAMES].flatten().tolist()) for slice_ in drawn}) == 4


def test_a_series_without_timing_is_refused() -> None:
    case = scan()
    with pytest.raises(CohortError, match="no timing"):
        records([Scan(case.volumes, case.affine)], 64)


@pytest.mark.parametrize("role", MAPS)
def test_the_loss_weighs_the_maps_that_are_drawn_and_each_network_by_its_own(role: Role) -> None:
    """Written down anew: half of each cross entropy for the discriminator, deceit and λ times the distance."""
    recipe = recipe_of(map=role.value, reconstruction=7.0, fluid=0.25)
    model, slices = recipe.build(1), records([scan()], 64).draw(2, rng())
    frames, truth = slices[:, :FRAMES], slices[:, [FRAMES + MAPS.index(role)]]
    counts = 0.25 + 0.75 * (slices[:, [FRAMES + MAPS.index(Role.MTT)]] > -1).float()
    assert 0.25 < float(counts.mean()) < 1
    drawn, judge = model["generator"](frames), model["discriminator"]
    real, fake = (judge(torch.cat([frames, maps], 1)) for maps in (truth, drawn.detach()))
    own = -(logsigmoid(real).mean() + logsigmoid(-fake).mean()) / 2
    deceit = (
        -logsigmoid(judge(torch.cat([frames, drawn], 1))).mean() + 7.0 * (counts * (drawn - truth).abs()).mean()
    )
    assert isinstance(recipe.phase, PairedPhase)
    joint = recipe.phase.patient_loss(model, slices, rng())
    torch.testing.assert_close(joint, own + deceit)
    for name, loss in (("discriminator", own), ("generator", deceit)):
        parameters = list(model[name].parameters())
        expected = torch.autograd.grad(loss, parameters, retain_graph=True)
        for found, known in zip(torch.autograd.grad(joint, parameters, retain_graph=True), expected, strict=True):
            torch.testing.assert_close(found, known, rtol=1e-3, atol=1e-6)


def test_all_maps_come_from_one_generator() -> None:
    recipe = recipe_of(map="all")
    assert recipe.build(1)["generator"](torch.zeros(1, FRAMES, 64, 64)).shape == (1, len(MAPS), 64, 64)


@pytest.mark.parametrize("preset", ["paper", "published"])
def test_papers_size_draws_one_map_behind_as_wide_a_unet_as_was_published(preset: str) -> None:
    with torch.device("meta"):
        recipe = load("perfusion-2d", "temp-pix2pix", preset)
        assert isinstance(recipe, Perfusion)
        generator = recipe.generator()
    assert recipe.maps == (Role.CBF,)
    assert generator.first.out_channels == (128 if preset == "paper" else PUBLISHED.unet[0])


@pytest.mark.parametrize("maps", [MAPS, (Role.TMAX,)])
def test_a_drawn_map_is_in_its_unit_where_the_pixel_was_and_zero_outside_the_brain(maps: tuple[Role, ...]) -> None:
    case = scan()
    brain = case.volumes[Role.BRAIN] > 0
    frames = frames_of(case.volumes[Role.DSC], brain, Timing(1.5, 0.03))
    drawn = draw_maps(First(len(maps)), case, 64, maps)
    assert list(drawn) == list(maps)
    for n, role in enumerate(maps):
        assert drawn[role].dtype == np.float32
        assert not drawn[role][~brain].any()
        expected = (frames[..., 20 + n] + 1) * TOPS[role] / 2
        if role is not Role.MTT:
            np.testing.assert_allclose(drawn[role][brain], expected[brain], atol=1e-3)


def test_a_drawn_transit_time_is_volume_over_flow_if_all_three_are_drawn_and_else_the_networks_own() -> None:
    case = scan()
    brain = case.volumes[Role.BRAIN] > 0
    drawn = draw_maps(First(5), case, 64)
    np.testing.assert_array_less(0, drawn[Role.CBF][brain])
    ratio = 60 * drawn[Role.CBV][brain] / drawn[Role.CBF][brain]
    assert (ratio > TOPS[Role.MTT]).mean() < 0.5
    np.testing.assert_allclose(drawn[Role.MTT][brain], np.minimum(ratio, TOPS[Role.MTT]), rtol=1e-5)
    alone = draw_maps(First(1), case, 64, (Role.MTT,))[Role.MTT]
    frames = frames_of(case.volumes[Role.DSC], brain, Timing(1.5, 0.03))
    np.testing.assert_allclose(alone[brain], (frames[..., 20][brain] + 1) * TOPS[Role.MTT] / 2, atol=1e-3)


class Grid(nn.Module):
    """Draws a chequerboard and a slope along i, whatever it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, frames: Tensor) -> Tensor:
        i, j = torch.meshgrid(*(torch.arange(length) for length in frames.shape[2:]), indexing="ij")
        return ((i + j) % 2 * 0.5 + 1e-4 * i - 0.5).expand(len(frames), 1, -1, -1) * self.weight


def test_a_pattern_that_stands_still_when_the_patient_is_moved_or_mirrored_is_averaged_out() -> None:
    case = scan()
    brain = case.volumes[Role.BRAIN] > 0
    (drawn,) = draw_maps(Grid(), case, 64, (Role.CBF,)).values()
    assert np.ptp(drawn[brain]) < 0.01 * TOPS[Role.CBF]


def test_a_series_of_another_size_is_brought_to_the_networks_and_back() -> None:
    drawn = draw_maps(First(5), scan(), 32)
    assert all(volume.shape == SHAPE for volume in drawn.values())


def test_without_a_mask_the_brain_is_found() -> None:
    case = scan()
    del case.volumes[Role.BRAIN]
    drawn = draw_maps(First(5), case, 64)[Role.CBF]
    assert (drawn[12:-12, 8:-8, :2] != 0).mean() > 0.9
    assert not drawn[:8].any()


def test_phantoms_whose_bolus_comes_at_once_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    early, good = scan(0), scan(1)
    early.volumes[Role.DSC] = early.volumes[Role.DSC][..., 13:]
    with pytest.raises(CohortError, match="steady frames"):
        records([early], 64)
    monkeypatch.setattr(perfusion_2d, "simulate_patients", lambda *args: iter([early, good, good]))
    recipe = recipe_of()
    (case,) = recipe.sample(recipe.build(1), 1, seed=1)
    np.testing.assert_array_equal(case.volumes[Role.DSC], good.volumes[Role.DSC])


@pytest.mark.parametrize("setting", ["all", "ttp"])
def test_samples_are_public_series_with_the_maps_drawn_of_them(setting: str) -> None:
    recipe = recipe_of(map=setting)
    assert isinstance(recipe, Perfusion)
    model = recipe.build(1)
    (case,), (again,) = (list(recipe.sample(model, 1, seed=1)) for _ in range(2))
    assert set(case.volumes) == {Role.DSC, Role.BRAIN, *recipe.maps}
    assert case.shape == (64, 64, 8)
    assert case.timing is not None
    for role in case.volumes:
        np.testing.assert_array_equal(case.volumes[role], again.volumes[role])
    drawn = draw_maps(model[SMOOTHED], case, 64, recipe.maps)
    np.testing.assert_array_equal(case.volumes[recipe.maps[-1]], drawn[recipe.maps[-1]])


@pytest.mark.parametrize("variant", VARIANTS)
def test_pre_training_moves_every_network(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Perfusion, "phantoms", 1)
    recipe = recipe_of(variant, pretraining_steps=1, pretraining_batch=1)
    model, fresh = recipe.build(1), recipe.build(1)
    recipe.pretrain(model, 1, lambda *args: None)
    for name in ("generator", "discriminator", SMOOTHED):
        pairs = zip(model[name].parameters(), fresh[name].parameters(), strict=True)
        assert any(not torch.equal(a, b) for a, b in pairs)


def test_with_the_private_variant_sites_move_the_weights_past_the_unet_and_nothing_else() -> None:
    recipe = recipe_of("private")
    assert isinstance(recipe.phase, GradientPhase)
    model, slices = recipe.build(1), records([scan()], 64).draw(2, rng())
    assert sum(values.numel() for values in state_of(model, recipe.phase.moves).values()) == (32 + 1) * 5
    frames, truth = slices[:, :FRAMES], slices[:, FRAMES:]
    counts = 0.1 + 0.9 * (slices[:, [FRAMES + MAPS.index(Role.MTT)]] > -1).float()
    loss = recipe.phase.patient_loss(model, slices, rng())
    torch.testing.assert_close(loss, 100 * (counts * (model["generator"](frames) - truth).abs()).mean())
    torch.autograd.backward(loss)
    assert all(bool(weight.grad is not None and weight.grad.any()) for weight in model["past"].parameters())
    assert all(weight.grad is None for weight in model["generator"].get_submodule("past").parameters())


def test_what_the_sites_moved_past_the_unet_is_what_the_generator_draws_with() -> None:
    recipe = recipe_of("private")
    model, fresh = recipe.build(1), recipe.build(1)
    sent = {name: value + 1 for name, value in state_of(model, ("past",)).items()}
    recipe.receive(model, sent, 0.0)
    for name in ("weight", "bias"):
        moved, before = (networks["generator"].get_parameter(f"past.{name}") for networks in (model, fresh))
        torch.testing.assert_close(moved, before + 1)
        share = model[SMOOTHED].get_parameter(f"past.{name}") - before
        torch.testing.assert_close(share, torch.full_like(share, 1 - 0.99**10))
    names = [name for name, _ in fresh["generator"].named_parameters() if not name.startswith("past")]
    for name in names:
        assert torch.equal(model["generator"].get_parameter(name), fresh["generator"].get_parameter(name))
