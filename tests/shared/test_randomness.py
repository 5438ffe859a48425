"""Noise made and norms taken piece by piece are what they would be in one piece; no key can be read."""

import copy
import gc
import os
import pickle
from collections.abc import Callable
from types import ModuleType

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


def everything_reachable(thing: object) -> list[object]:
    """Return all that Python can find from an object's attributes on, classes and modules left out."""
    found: dict[int, object] = {}
    waiting = [thing]
    while waiting:
        one = waiting.pop()
        if id(one) not in found and not isinstance(one, type | ModuleType):
            found[id(one)] = one
            waiting += gc.get_referents(one)
    return list(found.values())


def test_no_key_can_be_read_off_the_systems_randomness(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[bytes] = []

    def noted(count: int, urandom: Callable[[int], bytes] = os.urandom) -> bytes:
        drawn.append(urandom(count))
        return drawn[-1]

    monkeypatch.setattr(os, "urandom", noted)
    system = SystemRandomness()
    system.gaussian(10, 1.0)
    assert len(drawn) == 2
    secrets = {secret for key in drawn for secret in (key, key.hex(), repr(key))}
    assert not [
        one for one in everything_reachable(vars(system)) if isinstance(one, bytes | str) and one in secrets
    ]
    assert repr(system) == "SystemRandomness()"


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_stream_cannot_be_pickled_or_copied(duplicate: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        duplicate(SystemRandomness())
