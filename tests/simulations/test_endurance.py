"""`Endurance` for a seeded run, which must end in the same bytes, and for one with noise from the system."""

import pytest

from server.run.checkpoint import latest
from shared.privacy.events import NoiseSource
from tests.simulations.endurance import Endurance, base, mine, tiny_recipe, undisturbed
from tests.simulations.tiny import Federation

__all__ = ["base", "mine", "tiny_recipe", "undisturbed"]  # the suite's fixtures, for pytest to find here


class TestSeeded(Endurance):
    source = NoiseSource.SEEDED
    epsilon = 8.0

    def assert_same(self, mine: Federation, undisturbed: Federation) -> None:
        super().assert_same(mine, undisturbed)
        assert latest(mine.folder.checkpoints).model == latest(undisturbed.folder.checkpoints).model
        assert mine.lines == undisturbed.lines


@pytest.mark.slow
class TestSystemNoise(Endurance):
    source = NoiseSource.SYSTEM
    epsilon = 8.0
