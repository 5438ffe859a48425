"""An update that is not what it must be is refused, named in the ledger, and keeps nobody else from the round."""

from collections.abc import Callable

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, RecordDict
from numpy.typing import NDArray

from shared.canonical import digest_arrays
from shared.messages import TRAIN, Arrays, UpdateReply, pack, unpack, unpack_arrays
from shared.privacy.events import NoiseSource
from tests.simulations.endurance import EAST, base, mine, run, tiny_recipe
from tests.simulations.faulty import Fault
from tests.simulations.tiny import SITES, Federation

__all__ = ["base", "mine", "tiny_recipe"]  # fixtures, for pytest to find here

WEIGHT = "network.weight"


def spoilt(name: str, value: Callable[[], NDArray[np.float32]]) -> Callable[[Arrays], Arrays]:
    return lambda arrays: arrays | {name: value()}


SPOILT: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "NaN": (spoilt(WEIGHT, lambda: np.full((1, 4), np.nan, np.float32)), "finite or too large"),
    "infinite": (spoilt(WEIGHT, lambda: np.full((1, 4), np.inf, np.float32)), "finite or too large"),
    "huge": (spoilt(WEIGHT, lambda: np.full((1, 4), 1e12, np.float32)), "finite or too large"),
    "another shape": (spoilt(WEIGHT, lambda: np.ones((4, 1), np.float32)), "shape"),
    "a shape that would broadcast": (spoilt(WEIGHT, lambda: np.ones((1,), np.float32)), "shape"),
    "more arrays": (spoilt("secret", lambda: np.ones((1,), np.float32)), "larger than the arrays it must hold"),
    "a long array": (
        spoilt(WEIGHT, lambda: np.ones((1, 10**6), np.float32)),
        "larger than the arrays it must hold",
    ),
}


def signed_anew(mine: Federation, spoil: Callable[[Arrays], Arrays]) -> Callable[[RecordDict], RecordDict]:
    """Return what a hostile site would send: other arrays, signed with its key."""

    def change(content: RecordDict) -> RecordDict:
        update = unpack(content, UpdateReply).update
        arrays = spoil(unpack_arrays(content))
        told = update.model_copy(update={"body": digest_arrays(arrays)})
        record = ArrayRecord({name: Array(array) for name, array in arrays.items()})
        return pack(UpdateReply.by(mine.site("east").identity, told), record)

    return change


class TestSpoilt:
    source = NoiseSource.SEEDED
    epsilon = None

    @pytest.mark.parametrize(("spoil", "why"), SPOILT.values(), ids=SPOILT)
    def test_a_signed_update_that_does_not_fit_is_refused(
        self, mine: Federation, spoil: Callable[[Arrays], Arrays], why: str
    ) -> None:
        run(mine, Fault("changed", TRAIN, EAST, group="2", change=signed_anew(mine, spoil)))
        self.assert_refused(mine, why)

    def test_an_update_of_the_round_before_is_refused(self, mine: Federation) -> None:
        answers: list[RecordDict] = []

        def listen(what: str, message: Message) -> None:
            trained = what == "answer" and message.metadata.message_type == TRAIN
            if trained and unpack(message.content, UpdateReply).update.site == "east":
                answers.append(message.content)

        run(mine, Fault("changed", TRAIN, EAST, group="2", change=lambda _: answers[0]), hook=listen)
        self.assert_refused(mine, "another round")

    def test_an_update_replayed_to_a_resumed_coordinator_is_refused(self, mine: Federation) -> None:
        """Round, base and site are right; it answers a question that was asked before."""

        def aged(content: RecordDict) -> RecordDict:
            update = unpack(content, UpdateReply).update.model_copy(update={"nonce": "0" * 32})
            return pack(UpdateReply.by(mine.site("east").identity, update), content.array_records["arrays"])

        run(mine, Fault("changed", TRAIN, EAST, group="2", change=aged))
        self.assert_refused(mine, "another nonce")

    def test_an_update_in_the_name_of_another_site_is_refused(self, mine: Federation) -> None:
        def disguised(content: RecordDict) -> RecordDict:
            update = unpack(content, UpdateReply).update.model_copy(update={"site": "north"})
            return pack(UpdateReply.by(mine.site("north").identity, update), content.array_records["arrays"])

        run(mine, Fault("changed", TRAIN, EAST, group="2", change=disguised))
        self.assert_refused(mine, "signature is not the enrolled site's")

    def test_arrays_that_are_too_long_are_not_decoded(
        self, mine: Federation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decoded: list[int] = []

        def decode(content: RecordDict) -> Arrays:
            found = unpack_arrays(content)
            decoded.append(max(array.size for array in found.values()))
            return found

        monkeypatch.setattr("server.run.rounds.unpack_arrays", decode)
        change = signed_anew(mine, SPOILT["a long array"][0])
        run(mine, Fault("changed", TRAIN, EAST, change=change))
        assert max(decoded) == 4

    def assert_refused(self, mine: Federation, why: str) -> None:
        (refused,) = mine.seen.refusals
        assert (refused.site, refused.round) == ("east", 2)
        assert why in refused.reason
        assert [r.sites for r in mine.seen.rounds] == [SITES, SITES[1:], SITES]
        assert mine.seen.settles["east"].rounds == mine.begun("east") == 3  # spent, though of no use
        mine.assert_budget_is_told()
