"""An audit passes what is right and catches every edit, by the check that is meant to catch it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from server.audit import steps as audit_steps
from server.audit.command import audit, beyond
from server.audit.steps import Evidence, examine
from server.dataset.files.seal import NAMESPACE, SIGNATURE, SUMS, sums_of
from server.dataset.publication import publish
from server.ledger.export import CHECKPOINT, WITNESSED, export_ledger, jsonl, read_checkpoint
from server.report.build import write_report
from server.run.folder import RunFolder
from shared.canonical import canonical, digest_arrays
from shared.errors import LedgerError
from shared.identity import Identity
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.events import Event, Past
from shared.ledger.finding import Finding
from shared.ledger.log import Head, SignedEvent, parse
from shared.ledger.verify import check_checkpoint, verify_runs
from shared.ledger.view import head_of, lines_of, views
from shared.privacy.events import NonPrivate, Spending
from shared.sshsig import ssh_sign
from tests.server.ledgers import (
    COORDINATOR,
    ROUNDS,
    SITES,
    Story,
    cosigned,
    identity,
    store_at,
)
from tests.server.test_publication import scans

WEIGHTS = {"critic.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}


def story_events() -> list[Event]:
    """Return a run whose last round names the model in `WEIGHTS`."""
    last = Story().round(ROUNDS).model_copy(update={"model": digest_arrays(WEIGHTS)})
    return [last if getattr(e, "round", 0) == ROUNDS and e.type == "round" else e for e in Story().events()]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    store = store_at(folder, story_events())
    export_ledger(store, folder / "ledger", COORDINATOR, cosigned(store.head, SITES))
    publish(RunFolder(folder), folder / "dataset", scans(), store=store)
    store.close()
    (folder / "checkpoints").mkdir()
    save_file(WEIGHTS, folder / "checkpoints" / f"round-{ROUNDS:05d}.safetensors", {"round": str(ROUNDS)})
    return folder


@pytest.fixture
def run_dir(untouched: Path, tmp_path: Path) -> Path:
    return shutil.copytree(untouched, tmp_path / "run")


def findings(run_dir: Path, key: str | None = None, kept: Sequence[Path] = ()) -> list[Finding]:
    return list(examine(Evidence(run_dir, key, kept, None, run_dir / "dataset")))


def failed(run_dir: Path, key: str | None = None, kept: Sequence[Path] = ()) -> set[str]:
    return {finding.check for finding in findings(run_dir, key, kept) if finding.passed is False}


HEAD = "the ledger is the one its checkpoint fixes"
CHAIN = "every entry is in its place and signed by the one it binds"
GROWN = "the ledger grew out of what was seen before"
WITNESSES = "hospitals witnessed the ledger"
RELEASES = "only what may be published was released"
REPORT = "report.json follows from the ledger"
PAGE = "the report's page follows from report.json"
MODEL = "the checkpoint is the model of the last round"
SEAL = "the data set is complete, unchanged and signed"
CLAIM = "the data set is the one released, and claims what the ledger says"


def test_an_honest_run_passes_every_check(run_dir: Path) -> None:
    assert [f for f in findings(run_dir, COORDINATOR.public_key) if f.passed is not True] == []


def test_the_command_says_what_it_checked_and_what_it_could_not(run_dir: Path) -> None:
    result = CliRunner().invoke(audit, ["verify", str(run_dir)])
    assert result.exit_code == 0, result.output
    assert result.output.count("✓") == len(findings(run_dir))
    for beyond_reach in ("patients it declares", "added the noise", "random numbers", "hyper-parameters", "--key"):
        assert beyond_reach in result.output.partition("could not verify")[2]


def test_the_command_fails_when_a_check_does(run_dir: Path) -> None:
    (run_dir / "dataset" / "README.md").write_text("trust me")
    result = CliRunner().invoke(audit, ["verify", str(run_dir)])
    assert result.exit_code == 1
    assert f"✗ {SEAL}: README.md was changed" in result.output


@pytest.mark.parametrize("name", ["README.md", "index.html"])
def test_an_epsilon_that_does_not_follow_is_caught_on_card_and_page(run_dir: Path, name: str) -> None:
    path = run_dir / "dataset" / name
    path.write_text(path.read_text(encoding="utf-8").replace("ε = ", "ε = 0."), encoding="utf-8")
    (claim,) = [finding.detail for finding in findings(run_dir) if finding.check == CLAIM]
    assert f"{name} names an ε that does not follow from the ledger: 0." in claim


def test_another_key_than_the_one_known_is_caught(run_dir: Path) -> None:
    assert failed(run_dir, identity("somebody").public_key) == {HEAD, WITNESSES, SEAL, CLAIM}


# Edits of files ------------------------------------------------------------------------------------------


def rewrite_lines(run_dir: Path, edit: Callable[[list[bytes]], list[bytes]]) -> None:
    path = run_dir / "ledger" / "ledger.jsonl"
    path.write_bytes(jsonl(edit(path.read_bytes().splitlines())))


LINES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "edited figure": lambda x: [line.replace(b'"noise_multiplier":2.0', b'"noise_multiplier":3.0') for line in x],
    "edited number": lambda x: [line.replace(b'"patients":40', b'"patients":90') for line in x],
    "dropped": lambda x: [*x[:5], *x[6:]],
    "dropped first": lambda x: x[1:],
    "reordered": lambda x: [*x[:4], x[5], x[4], *x[6:]],
    "doubled": lambda x: [*x[:5], x[4], *x[5:]],
    "torn": lambda x: [*x[:-1], x[-1][:-9]],
    "not json": lambda x: [*x[:-1], b"{}"],
}


@pytest.mark.parametrize("edit", LINES)
def test_an_edited_log_is_caught(edit: str, run_dir: Path) -> None:
    rewrite_lines(run_dir, LINES[edit])
    assert CHAIN in failed(run_dir)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_bit_of_the_log_can_be_turned_unseen(untouched: Path, data: st.DataObject) -> None:
    log = bytearray((untouched / "ledger" / "ledger.jsonl").read_bytes())
    index = data.draw(st.integers(0, len(log) - 2))  # the very last byte ends the file, and its loss is seen
    log[index] ^= 1 << data.draw(st.integers(0, 7))
    lines = bytes(log[:-1]).split(b"\n")
    signed = read_checkpoint(untouched / "ledger" / CHECKPOINT)
    try:
        parse(lines, "test")
    except LedgerError:
        return
    assert check_checkpoint(lines, signed, COORDINATOR.public_key).passed is False


def test_a_log_cut_at_the_end_is_caught(run_dir: Path) -> None:
    rewrite_lines(run_dir, lambda lines: lines[:-2])
    assert {HEAD, CLAIM} <= failed(run_dir)


def change(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def case(run_dir: Path) -> Path:
    return next(run_dir.glob("dataset/sub-syn0002/anat/*angio.nii.gz"))


def sign_again(run_dir: Path, signer: Identity) -> None:
    """Make SHA256SUMS fit the files and sign it."""
    dataset = run_dir / "dataset"
    (dataset / SUMS).write_bytes(sums_of(dataset))
    (dataset / SIGNATURE).write_text(ssh_sign(signer, NAMESPACE, sums_of(dataset)))


def claim_less(run_dir: Path) -> None:
    change(run_dir / "dataset" / "dataset_description.json", b'"epsilon": ', b'"epsilon": 0.0')
    sign_again(run_dir, COORDINATOR)


def other_weights(run_dir: Path) -> None:
    save_file(
        {"w": np.zeros(3)}, run_dir / "checkpoints" / f"round-{ROUNDS:05d}.safetensors", {"round": str(ROUNDS)}
    )


def understate(run_dir: Path) -> None:
    path = run_dir / "report" / "report.json"
    made = json.loads(path.read_bytes())
    made["groups"][0]["alone"]["pld"]["epsilon"] -= 0.5
    path.write_bytes(canonical(made) + b"\n")


FILES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "checkpoint signed by another": (
        lambda d: put(d, CHECKPOINT, Checkpoint.by(identity("x"), head_of(lines_of(store_events(d))))),
        {HEAD},
    ),
    "checkpoint of less": (lambda d: change(d / "ledger" / CHECKPOINT, b"\n", b"\n1"), {HEAD}),
    "no checkpoint": (lambda d: (d / "ledger" / CHECKPOINT).unlink(), {CHAIN}),
    "cosigned checkpoint of another log": (
        lambda d: put(d, WITNESSED, cosigned(Head(5, "0" * 64), SITES)),
        {WITNESSES},
    ),
    "cosigned by nobody enrolled": (
        lambda d: put(d, WITNESSED, cosigned(head_of(lines_of(store_events(d))), ["somebody"])),
        {WITNESSES},
    ),
    "cosigned checkpoint damaged": (
        lambda d: change(d / "ledger" / WITNESSED, b" willis", b"willis"),
        {WITNESSES},
    ),
    "cosigned checkpoint no text": (lambda d: (d / "ledger" / WITNESSED).write_bytes(b"\xff"), {WITNESSES}),
    "epsilon understated": (understate, {REPORT}),
    "report not json": (lambda d: (d / "report" / "report.json").write_bytes(b"{"), {REPORT, PAGE}),
    "page edited": (lambda d: change(d / "report" / "index.html", "ε = ".encode(), "ε < ".encode()), {PAGE}),
    "image byte flipped": (lambda d: flip(case(d)), {SEAL}),
    "file added": (lambda d: (d / "dataset" / "extra.txt").write_text("x"), {SEAL}),
    "link added": (lambda d: (d / "dataset" / "extra").symlink_to(d / "ledger"), {SEAL}),
    "file missing": (lambda d: case(d).unlink(), {SEAL}),
    "sums missing": (lambda d: (d / "dataset" / SUMS).unlink(), {SEAL, CLAIM}),
    "signed by another": (lambda d: sign_again(d, identity("somebody")), {SEAL}),
    "signature damaged": (lambda d: flip(d / "dataset" / SIGNATURE), {SEAL}),
    "claim lowered and signed again": (claim_less, {CLAIM}),
    "other weights": (other_weights, {MODEL}),
    "checkpoint damaged": (
        lambda d: (d / "checkpoints" / f"round-{ROUNDS:05d}.safetensors").write_bytes(b"x" * 40),
        {MODEL},
    ),
}


def store_events(run_dir: Path) -> list[SignedEvent]:
    return parse((run_dir / "ledger" / "ledger.jsonl").read_bytes().splitlines(), "test")


@pytest.mark.parametrize("edit", FILES)
def test_an_edited_file_is_caught(edit: str, run_dir: Path) -> None:
    spoil, expected = FILES[edit]
    spoil(run_dir)
    assert failed(run_dir) == expected


def test_a_release_before_settlement_is_caught(run_dir: Path) -> None:
    events = store_events(run_dir)
    early = [*events[:-5], *events[-2:], *events[-5:-2]]
    found = {f.check for f in verify_runs(list(views(early).values())) if f.passed is False}
    assert found == {RELEASES}


def test_a_site_does_not_sign_for_another(run_dir: Path) -> None:
    events = store_events(run_dir)
    forged = SignedEvent.by(identity("north"), Story().settle("west"))
    lines = lines_of([*events, forged.model_copy(update={"signer": "west"})])
    (run_dir / "ledger" / "ledger.jsonl").write_bytes(jsonl(lines))
    assert CHAIN in failed(run_dir)


# What an auditor, or a hospital, kept ---------------------------------------------------------------------


def put(run_dir: Path, name: str, checkpoint: Checkpoint) -> Path:
    path = run_dir / "ledger" / name
    path.write_text(checkpoint.text, encoding="utf-8")
    return path


def test_every_earlier_checkpoint_that_was_kept_fits(run_dir: Path) -> None:
    lines = lines_of(store_events(run_dir))
    for size in range(len(lines) + 1):
        kept = put(run_dir, "kept", Checkpoint.by(COORDINATOR, head_of(lines[:size])))
        assert failed(run_dir, kept=[kept]) == set()


def test_a_history_other_than_the_one_kept_is_caught(run_dir: Path) -> None:
    """Signed anew by the coordinator itself, everything fits but what somebody kept."""
    lines = lines_of(store_events(run_dir))
    other = Story().round(ROUNDS).model_copy(update={"model": "0" * 64})
    forked = head_of([*lines[:-1], *lines_of([SignedEvent.by(COORDINATOR, other)])])
    for head in (forked, Head(len(lines) + 1, forked.root)):
        kept = put(run_dir, "kept", Checkpoint.by(COORDINATOR, head))
        assert failed(run_dir, kept=[kept]) == {GROWN}
    kept.write_text("no checkpoint")
    assert failed(run_dir, kept=[kept]) == {GROWN}


def test_a_log_without_witnesses_says_so_and_fails_nothing(run_dir: Path) -> None:
    (run_dir / "ledger" / WITNESSED).unlink()
    (found,) = [f for f in findings(run_dir) if f.check == WITNESSES]
    assert found.passed is None
    assert "another history may have been shown" in found.detail


def test_witnesses_that_are_missing_are_named(run_dir: Path) -> None:
    put(run_dir, WITNESSED, cosigned(head_of(lines_of(store_events(run_dir))), ["north"]))
    (found,) = [f for f in findings(run_dir) if f.check == WITNESSES]
    assert found.passed is True
    assert found.detail.startswith("1 of 3 cosigned")
    assert found.detail.endswith("without south, west")


# What an auditor may lack ------------------------------------------------------------------------------


def test_without_the_second_accountant_the_rest_of_the_report_is_still_compared(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_steps, "second_opinion", lambda: None)
    monkeypatch.setattr(audit_steps, "disagreements_or_none", lambda: None)
    assert failed(run_dir) == set()
    assert any("is not installed here" in line for line in beyond(findings(run_dir), None))
    understate(run_dir)
    assert REPORT in failed(run_dir)


def test_a_copy_with_the_ledger_alone_is_enough_to_start(tmp_path: Path) -> None:
    store = store_at(tmp_path, Story().events())
    export_ledger(store, tmp_path / "ledger", COORDINATOR)
    assert failed(tmp_path) == set()
    shutil.rmtree(tmp_path / "home")
    (tmp_path / "federation.json").unlink()
    assert failed(tmp_path) == set()


def test_a_past_non_private_run_does_not_hide_in_the_cap(tmp_path: Path) -> None:
    past = Past(run="1" * 16, recipe="r", variant="v", spending=Spending.of(NonPrivate(steps=1)))
    store = store_at(tmp_path, Story(past={"north": (past,)}).events())
    export_ledger(store, tmp_path / "ledger", COORDINATOR)
    page = write_report(tmp_path).read_text()
    assert failed(tmp_path) == set()
    assert "Not composed" in page


def test_the_audit_needs_no_torch() -> None:
    code = "import sys, server.audit.command; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
