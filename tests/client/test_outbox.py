"""The outbox: the same question gets the same answer, and no question is paid for twice."""

import threading
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.optim import Adam

from client.outbox import KEEP, Outbox
from shared.errors import CheckpointError, RequestRefused
from shared.optimizer_state import load_state, save_state


def answer(round_: int) -> dict[str, Tensor]:
    return {"critic.weight": torch.full((2, 3), float(round_)), "critic.bias": torch.tensor([-0.0, 1e-38])}


def state(round_: int) -> dict[str, Tensor]:
    return {"0/step": torch.tensor(float(round_)), "0/exp_avg": torch.full((3,), round_ + 0.5)}


def answered(folder: Path, rounds: int) -> Outbox:
    """Return an outbox in which rounds 1 to `rounds` were answered."""
    outbox = Outbox(folder)
    for round_ in range(1, rounds + 1):
        outbox.begin(round_, f"model {round_ - 1}")
        outbox.store(round_, answer(round_), state(round_))
    return outbox


def assert_equal(one: dict[str, Tensor] | None, other: dict[str, Tensor]) -> None:
    assert one is not None
    assert one.keys() == other.keys()
    assert all(one[k].numpy().tobytes() == other[k].numpy().tobytes() for k in other)


def test_the_same_question_gets_the_same_bytes_also_after_a_restart(tmp_path: Path) -> None:
    answered(tmp_path, 1)
    again = Outbox(tmp_path)
    again.begin(1, "model 0")
    assert_equal(again.recall(1), answer(1))
    assert again.rounds == 1


def test_an_answered_round_is_not_begun_from_another_model(tmp_path: Path) -> None:
    outbox = answered(tmp_path, 1)
    with pytest.raises(RequestRefused, match="spend twice"):
        outbox.begin(1, "another model")
    assert outbox.rounds == 1


def test_rounds_do_not_go_back(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.begin(1, "model 0")
    outbox.begin(5, "model 4")  # a site that missed rounds may come back
    with pytest.raises(RequestRefused, match="round 3 comes after round 5"):
        outbox.begin(3, "model 2")
    assert outbox.rounds == 2


def test_a_crash_between_question_and_answer_is_one_question(tmp_path: Path) -> None:
    outbox = answered(tmp_path, 2)
    outbox.begin(3, "model 2")
    after = Outbox(tmp_path)
    assert after.recall(3) is None
    assert_equal(after.optimizer_state(3), state(2))
    after.begin(3, "model 2")
    after.store(3, answer(3), state(3))
    assert after.rounds == 3
    assert_equal(after.recall(3), answer(3))


def test_the_coordinator_may_go_back_as_far_as_it_keeps_checkpoints(tmp_path: Path) -> None:
    outbox = answered(tmp_path, 5)
    for round_ in range(5, 5 - KEEP, -1):
        outbox.begin(round_, f"model {round_ - 1}")
        assert_equal(outbox.recall(round_), answer(round_))
    assert len(list(tmp_path.glob("answer-*"))) == KEEP


def test_an_answer_that_was_sent_and_dropped_is_not_made_again(tmp_path: Path) -> None:
    """Made again it would be noised afresh: two releases for the price of one."""
    outbox = answered(tmp_path, 5)
    with pytest.raises(RequestRefused, match="answered long ago"):
        outbox.begin(5 - KEEP, f"model {5 - KEEP - 1}")


@pytest.mark.parametrize("torn", [b'{"ba', b'{"base":"model 1","round":2'])
def test_a_line_torn_by_a_crash_is_ignored_and_swallows_nothing(torn: bytes, tmp_path: Path) -> None:
    answered(tmp_path, 1)
    with (tmp_path / "questions.jsonl").open("ab") as file:
        file.write(torn)
    outbox = Outbox(tmp_path)
    assert outbox.rounds == 1
    outbox.begin(2, "model 1")
    assert Outbox(tmp_path).rounds == 2
    with pytest.raises(RequestRefused):
        Outbox(tmp_path).begin(2, "another model")


def test_the_optimiser_goes_on_as_if_it_had_never_been_put_away(tmp_path: Path) -> None:
    gradients = list(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)))

    def descend(parameter: Tensor, optimizer: Adam, part: list[Tensor]) -> None:
        for gradient in part:
            parameter.grad = gradient.clone()
            optimizer.step()

    straight = torch.ones(4, requires_grad=True)
    descend(straight, Adam([straight], lr=0.1), gradients)

    outbox = Outbox(tmp_path)
    resumed = torch.ones(4, requires_grad=True)
    for round_, part in enumerate((gradients[:3], gradients[3:]), start=1):
        optimizer = Adam([resumed], lr=0.1)
        load_state(optimizer, outbox.optimizer_state(round_))
        descend(resumed, optimizer, part)
        outbox.begin(round_, "model")
        outbox.store(round_, {"p": resumed.detach()}, save_state(optimizer))
    assert torch.equal(straight, resumed)


def test_a_seeded_run_starts_over_bound_to_its_questions(tmp_path: Path) -> None:
    outbox = answered(tmp_path, 3)
    outbox.forget_answers()
    assert outbox.optimizer_state(1) == {}
    outbox.begin(1, "model 0")
    assert outbox.recall(1) is None
    outbox.store(1, answer(1), state(1))
    assert_equal(outbox.optimizer_state(2), state(1))
    with pytest.raises(RequestRefused, match="another model"):
        outbox.begin(2, "another model")
    assert outbox.rounds == 3


def test_a_damaged_answer_is_named_and_never_made_again(tmp_path: Path) -> None:
    outbox = answered(tmp_path, 2)
    path = tmp_path / "answer-000002.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match=r"answer-000002\.safetensors: damaged; restore it"):
        outbox.recall(2)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_keeps_the_answer_before(tmp_path: Path) -> None:
    outbox = answered(tmp_path, 1)
    outbox.begin(2, "model 1")
    (tmp_path / "answer-000002.safetensors.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left.*answer-000002"):
        outbox.store(2, answer(2), state(2))
    assert_equal(outbox.recall(1), answer(1))
    assert outbox.recall(2) is None
    outbox.store(2, answer(2), state(2))
    assert_equal(outbox.recall(2), answer(2))


def test_two_who_ask_at_once_get_one_answer(tmp_path: Path) -> None:
    made: list[int] = []

    def ask(name: int) -> None:
        outbox = Outbox(tmp_path)
        with outbox.alone():
            outbox.begin(1, "model 0")
            if outbox.recall(1) is None:
                time.sleep(0.05)  # private steps
                made.append(name)
                outbox.store(1, answer(name), {})

    threads = [threading.Thread(target=ask, args=(name,)) for name in (7, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert_equal(Outbox(tmp_path).recall(1), answer(made[0]))


def test_a_crash_before_the_first_byte_of_a_question_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").touch()
    outbox = Outbox(tmp_path)
    outbox.begin(1, "base")
    assert outbox.rounds == 1
    assert Outbox(tmp_path).has_begun(1)


def test_a_question_damaged_in_the_middle_is_refused_and_not_forgotten(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for round_ in (1, 2, 3):
        outbox.begin(round_, "base")
    path = tmp_path / "questions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\x00" * 20 + b"\n" + lines[2])
    with pytest.raises(CheckpointError, match="damaged"):
        _ = outbox.rounds
    path.unlink()
    outbox._answer(2).write_bytes(b"")
    with pytest.raises(CheckpointError, match="lacks round 2, which was answered"):
        _ = outbox.rounds
