"""Noise made and norms taken piece by piece are what they would be in one piece."""

import pytest
import torch

from shared.privacy import mechanism, randomness
from shared.privacy.mechanism import GaussianSum
from shared.privacy.randomness import SystemRandomness

PIECE = 2 * randomness._CHUNK


@pytest.mark.parametrize("count", [0, 1, 2, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7])
def test_any_number_of_draws_is_finite_and_none_is_left_out(count: int) -> None:
    draws = SystemRandomness().gaussian(count, 2.0)
    assert draws.shape == (count,)
    assert draws.dtype == torch.float64
    assert bool(torch.isfinite(draws).all())
    assert int((draws == 0).sum()) == 0  # an exact zero has probability 1e-8 a draw; memory not filled is likely 0


def test_pieces_of_the_noise_are_unrelated_and_equally_wide() -> None:
    pieces = SystemRandomness().gaussian(8 * PIECE, 3.0).reshape(16, -1)
    assert float((torch.corrcoef(pieces) - torch.eye(16)).abs().max()) < 6 / PIECE**0.5 * 2**0.5
    assert pieces.std(dim=1).tolist() == pytest.approx([3.0] * 16, rel=0.05)


def test_a_vector_longer_than_a_piece_is_clipped_as_a_whole() -> None:
    like = torch.zeros(2 * mechanism._CHUNK + 3)
    door = GaussianSum([like, torch.zeros(5)], 1.0, 0.0, SystemRandomness())
    door.add([torch.ones_like(like), None])
    released = door.release()[0].double()
    assert float(released.norm()) == pytest.approx(1.0, rel=1e-5)
    assert float(released.norm()) <= 1.0
