"""A written report is signed where the key is, and an audit sees who signed it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from server.audit.report_checks import check_page, check_report
from server.ledger.export import export_ledger
from server.report.build import second_opinion, write_report
from server.report.seal import NAMESPACE, SIGNATURE, report_signer
from shared.ledger.finding import Finding
from shared.ledger.log import SignedEvent
from shared.privacy.events import NoiseSource
from shared.sshsig import allowed_signer, ssh_sign
from tests.server.ledgers import COORDINATOR, RUN_ID, Story, identity, signed_all, store_at

EVENTS = signed_all(Story().events())


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    store = store_at(folder, Story().events())
    export_ledger(store, folder / "ledger", COORDINATOR)
    store.close()
    write_report(folder)
    return folder


def checked(run_dir: Path, events: list[SignedEvent] = EVENTS) -> Finding:
    return check_report(run_dir, events, RUN_ID, second_opinion())


def test_a_report_is_signed_by_the_coordinator(run_dir: Path) -> None:
    assert report_signer(run_dir / "report") == COORDINATOR.public_key
    found = checked(run_dir)
    assert found.passed is True
    assert "signed" in found.detail


def test_ssh_keygen_accepts_the_signature(run_dir: Path) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen here")
    out = run_dir / "report"
    (out / "signers").write_text(allowed_signer("coordinator", COORDINATOR.public_key, NAMESPACE))
    command = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        "signers",
        "-I",
        "coordinator",
        "-n",
        NAMESPACE,
        "-s",
        SIGNATURE,
    ]
    subprocess.run(command, cwd=out, stdin=(out / "report.json").open("rb"), check=True, capture_output=True)


def test_a_signature_of_somebody_else_is_caught(run_dir: Path) -> None:
    data = (run_dir / "report" / "report.json").read_bytes()
    (run_dir / "report" / SIGNATURE).write_text(ssh_sign(identity("somebody"), NAMESPACE, data))
    assert checked(run_dir).passed is False


def test_a_signature_of_another_report_is_caught(run_dir: Path) -> None:
    (run_dir / "report" / SIGNATURE).write_text(ssh_sign(COORDINATOR, NAMESPACE, b"another"))
    assert "not signed" in checked(run_dir).detail


def test_an_auditors_copy_has_no_key_and_makes_no_signature(run_dir: Path) -> None:
    (run_dir / "federation.json").unlink()
    write_report(run_dir)
    assert not (run_dir / "report" / SIGNATURE).exists()
    assert checked(run_dir).passed is True


def test_a_report_of_another_ledger_is_caught(run_dir: Path) -> None:
    assert checked(run_dir, signed_all(Story(noise_source=NoiseSource.SEEDED).events())).passed is False


def test_without_opacus_all_other_figures_are_compared(run_dir: Path) -> None:
    path = run_dir / "report" / "report.json"
    assert check_report(run_dir, EVENTS, RUN_ID, None).passed is True
    path.write_bytes(path.read_bytes().replace(b'"epsilon":10.0', b'"epsilon":11.0', 1))
    assert check_report(run_dir, EVENTS, RUN_ID, None).passed is False


def test_an_edited_page_is_caught(run_dir: Path) -> None:
    assert check_page(run_dir).passed is True
    page = run_dir / "report" / "index.html"
    page.write_text(page.read_text(encoding="utf-8").replace("ε = ", "ε < ", 1), encoding="utf-8")
    assert check_page(run_dir).passed is False
