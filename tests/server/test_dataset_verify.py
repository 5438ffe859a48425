"""A published data set passes every check; a changed bit, a lie under a new seal, a hostile folder do not."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from server.dataset.checking.verify import examine_dataset
from server.dataset.files.seal import PROOF, SIGNATURE, SUMS
from server.dataset.publication import publish
from server.dataset.releasing.proof import write_proof
from server.run.folder import RunFolder
from shared.canonical import digest
from shared.imaging import nifti
from shared.imaging.case_names import case_file
from shared.imaging.scan import Role
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.events import Release
from shared.ledger.finding import Finding
from shared.ledger.store import LedgerStore
from shared.ledger.view import head_of
from shared.privacy.events import NoiseSource
from tests.commands import willis
from tests.server.datasets import KINDS, lesions, released, resealed
from tests.server.ledgers import COORDINATOR, NON_PRIVATE_PAST, Story, identity, signed

ROLES = (Role.ANGIO, Role.VESSELS)
IMAGES = [case_file(f"sub-syn000{number}", role, ROLES) for number in (1, 2) for role in ROLES]
RECORDS = [
    "README.md",
    "checkpoint",
    "croissant.json",
    "dataset.json",
    "dataset_description.json",
    "desc-synthetic_angio.json",
    "ledger.jsonl",
    "manifest.json",
    "manifest.tsv",
    "metadata.csv",
    "participants.tsv",
    "registry.yaml",
    "allowed_signers",
]
OTHERS = [
    ".bidsignore",
    "CHANGES",
    "LICENSE",
    "contact-sheet.png",
    "descriptions.tsv",
    "index.html",
    "label-vessels_desc-synthetic_mask.json",
    "participants.json",
    "release.json",
    "zenodo.json",
    SUMS,
    SIGNATURE,
    PROOF,
]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released(tmp_path_factory.mktemp("run"))


@pytest.fixture
def dataset(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "dataset"))


def failed(folder: Path, key: str | None = COORDINATOR.public_key) -> list[Finding]:
    return [finding for finding in examine_dataset(folder, key) if finding.passed is False]


@pytest.mark.parametrize("kind", KINDS)
def test_a_data_set_as_published_passes_every_check(kind: str, tmp_path: Path) -> None:
    findings = list(examine_dataset(released(tmp_path, kind), COORDINATOR.public_key))
    assert [finding.line for finding in findings if finding.passed is not True] == []
    assert len(findings) == 15


def test_a_simulation_passes_as_one(tmp_path: Path) -> None:
    out = released(tmp_path, story=Story(noise_source=NoiseSource.SEEDED))
    assert failed(out) == []
    assert "SIMULATION" in nifti.read_words(out / IMAGES[0])[0]
    for name in ("README.md", "zenodo.json", "croissant.json"):
        text = (out / name).read_text()
        assert text.count("none, for this is a SIMULATION with seeded noise; with real noise guaranteed ε") >= 1, (
            name
        )
        assert re.findall(r"(.{11})guaranteed ε", text) == ["real noise "], name  # nowhere without
    said = willis("dataset", "verify", out).said
    assert any("SIMULATION: the noise is seeded and protects nobody" in line for line in said)
    assert said[-1].startswith("Nothing failed. It is a SIMULATION")


def test_a_simulation_that_the_coordinator_released_as_a_release_is_found(tmp_path: Path) -> None:
    out = released(tmp_path, story=Story(noise_source=NoiseSource.SEEDED))
    store = LedgerStore(tmp_path / "home" / "ledger.sqlite", create=False)
    events = store.events
    (made,) = (entry.event for entry in events if isinstance(entry.event, Release))
    forged = made.model_copy(update={"kind": "release"})
    write_proof(out, [*events[:-1], signed(forged)], COORDINATOR)
    (finding,) = failed(out)
    assert "it calls a simulation a release" in finding.detail


def test_a_later_release_of_the_same_run_passes(tmp_path: Path) -> None:
    released(tmp_path)
    store = LedgerStore(tmp_path / "home" / "ledger.sqlite", create=False)
    more = publish(RunFolder(tmp_path), tmp_path / "more", lesions(), store=store).path
    findings = list(examine_dataset(more, None))
    assert [finding.line for finding in findings if not finding.passed] == []
    assert "3 entries between" in findings[-1].detail  # the gate of each, and the other release


def test_where_nothing_finite_is_guaranteed_there_is_no_registry_record(tmp_path: Path) -> None:
    out = released(tmp_path, story=Story(past={"north": (NON_PRIVATE_PAST,)}))
    assert "ε = ∞" in (out / "README.md").read_text()
    assert not (out / "registry.yaml").exists()
    assert failed(out) == []


def test_the_files_below_are_all_there_are(original: Path) -> None:
    found = {path.relative_to(original).as_posix() for path in original.rglob("*") if path.is_file()}
    assert found == {*IMAGES, *RECORDS, *OTHERS}


@pytest.mark.parametrize("name", [*IMAGES, *RECORDS, *OTHERS])
def test_one_changed_bit_in_any_file_is_found(dataset: Path, name: str) -> None:
    data = bytearray((dataset / name).read_bytes())
    for place in {0, len(data) // 3, len(data) // 2, len(data) - 2}:
        data[place] ^= 1
        (dataset / name).write_bytes(data)
        assert failed(dataset), place
        data[place] ^= 1


@pytest.mark.parametrize("name", [*IMAGES, *RECORDS, *OTHERS])
def test_a_missing_file_is_found(dataset: Path, name: str) -> None:
    (dataset / name).unlink()
    if name == PROOF:  # as a candidate is before its release
        assert [f.check for f in examine_dataset(dataset, None) if f.passed is None] == [
            "the release of exactly this data set is in the federation's log"
        ]
    else:
        assert failed(dataset)


def json_lie(name: str, change: Callable[[Any], object]) -> Callable[[Path], None]:
    def tell(folder: Path) -> None:
        value = json.loads((folder / name).read_bytes())
        change(value)
        (folder / name).write_text(json.dumps(value))

    return tell


def text_lie(name: str, old: str, new: str) -> Callable[[Path], None]:
    def tell(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return tell


def image_lie(number: int, value: float = 0.0, description: str | None = None) -> Callable[[Path], None]:
    def tell(folder: Path) -> None:
        path = folder / IMAGES[number]
        said, comments = nifti.read_words(path)
        image = nib.load(path)
        voxels = np.asarray(image.dataobj).copy()
        voxels[0, 0, 0] = value
        nifti.write(path, voxels, image.affine, description or said, comment=comments[0])

    return tell


def image_more(folder: Path) -> None:
    (folder / "sub-syn0001" / "x.nii.gz").write_bytes(b"x")


def folder_more(folder: Path) -> None:
    (folder / "sub-syn0003").mkdir()
    (folder / "sub-syn0003" / "x.txt").write_text("x")


def shorter_log(folder: Path) -> None:
    lines = (folder / "ledger.jsonl").read_bytes().splitlines()[:-1]
    (folder / "ledger.jsonl").write_bytes(b"".join(raw + b"\n" for raw in lines))
    (folder / "checkpoint").write_text(Checkpoint.by(COORDINATOR, head_of(lines)).text)


LIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a smaller epsilon": (
        json_lie("dataset_description.json", lambda v: v["DifferentialPrivacy"]["maximum"].update(epsilon=0.1)),
        "claims of privacy",
    ),
    "a smaller epsilon on the card": (text_lie("README.md", "ε = ", "ε = 0"), "claims of privacy"),
    **{
        f"a smaller epsilon on the card: {words}": (
            text_lie("README.md", "## Use", f"{words}\n\n## Use"),
            "claims",
        )
        for words in (
            "<script>ε = 0.01</script>",
            "an epsilon of 0.01",
            "ε ≈ 0.01",
            "ϵ is below 0.01",
            "Epsilon: **0.01**",
            "eps 0.01",
            "$\\varepsilon=0.01$",
        )
    },
    "a smaller epsilon on the page": (
        text_lie("index.html", "<main>", "<main>&epsilon;&nbsp;=&nbsp;0.01"),
        "claims",
    ),
    "a smaller epsilon for Zenodo": (text_lie("zenodo.json", "ε = ", "ε = 0"), "claims of privacy"),
    "another epsilon for Croissant": (text_lie("croissant.json", "ε = ", "ε = 0"), "claims of privacy"),
    "no claim in Croissant": (
        json_lie("croissant.json", lambda v: v.update({"rai:personalSensitiveInformation": ["none"]})),
        "croissant.json",
    ),
    "another manifest in Croissant": (
        json_lie("croissant.json", lambda v: v["distribution"][0].update(sha256="0" * 64)),
        "croissant.json",
    ),
    "another pair to train on": (
        json_lie("dataset.json", lambda v: v["training"][0].update(label="../../elsewhere.nii.gz")),
        "dataset.json",
    ),
    "other labels to train on": (json_lie("dataset.json", lambda v: v["labels"].update(x=2)), "dataset.json"),
    "another file for hubs": (text_lie("metadata.csv", "syn0002/anat", "syn0001/anat"), "metadata.csv"),
    "a case more": (text_lie("participants.tsv", "sub-syn0002", "sub-syn0003"), "participants.tsv"),
    "another checksum": (text_lie("manifest.tsv", "16x12x1", "16x12x2"), "manifest.tsv"),
    "other counts": (json_lie("manifest.json", lambda v: v[0]["label_voxels"].clear()), "every image"),
    "a raw data set": (
        json_lie("dataset_description.json", lambda v: v.update(DatasetType="raw")),
        "BIDS",
    ),
    "stripped skulls": (
        json_lie("desc-synthetic_angio.json", lambda v: v.update(SkullStripped=True)),
        "BIDS",
    ),
    "another registry record": (text_lie("registry.yaml", "epsilon: ", "epsilon: 0"), "registry.yaml"),
    "a voxel that is no number": (image_lie(0, np.nan), "every image"),
    "a mask of 2": (image_lie(1, 2), "every image"),
    "no mark": (image_lie(0, 0.5, "scanned"), "every image"),
    "an image more": (image_more, "every image"),
    "a folder more": (folder_more, "participants.tsv"),
    "a shorter log": (shorter_log, "lets this run be published"),
    "another signer": (text_lie("allowed_signers", "AAAAC3", "AAAAC4"), "allowed_signers"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_under_a_new_seal_is_found(dataset: Path, lie: str) -> None:
    tell, check = LIES[lie]
    tell(dataset)
    resealed(dataset)
    checks = {finding.check for finding in failed(dataset)}
    assert any(check in name for name in checks), checks
    assert not any("complete, unchanged" in name for name in checks)
    assert any("release of exactly this data set" in name for name in checks)


def test_a_proof_of_another_release_is_found(dataset: Path, tmp_path: Path) -> None:
    shutil.copy(released(tmp_path / "other", "lesions") / PROOF, dataset / PROOF)
    (finding,) = failed(dataset)
    assert "it is of another data set" in finding.detail


def test_another_key_is_found(dataset: Path) -> None:
    stranger = identity("somebody").public_key
    assert any("signed" in finding.check for finding in failed(dataset, stranger))
    assert failed(dataset, "no key")


HOSTILE = (
    b"",
    b"null",
    b"[]",
    b'[{"participant_id": "../../etc", "files": {"angio": "/etc/passwd"}}]',
    b'{"training": 1, "distribution": [1], "recordSet": {}, "DifferentialPrivacy": [], "Run": {}}',
    b"[" * 100_000,
    b"\xff\xfe\x00",
)


@pytest.mark.parametrize("name", [*RECORDS, IMAGES[0], SUMS, SIGNATURE, PROOF])
def test_garbage_gives_findings_and_no_traceback(dataset: Path, name: str) -> None:
    for garbage in HOSTILE:
        (dataset / name).write_bytes(garbage)
        if name in RECORDS:
            resealed(dataset)
        assert failed(dataset)


def test_names_that_lead_out_of_the_folder_are_never_opened(dataset: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.nii.gz"
    os.mkfifo(outside)  # opening it would wait for ever
    rows = json.loads((dataset / "manifest.json").read_bytes())
    rows[0]["files"][Role.ANGIO.value] = "../outside.nii.gz"
    (dataset / "manifest.json").write_text(json.dumps(rows))
    resealed(dataset)
    with (dataset / SUMS).open("a") as sums:
        sums.write(f"{digest(b'')}  ../outside.nii.gz\n")
    assert any("other files than a case of that name" in finding.detail for finding in failed(dataset))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_links_and_pipes_are_named_and_nothing_is_read(dataset: Path, make: Callable[[Path], None]) -> None:
    (dataset / "README.md").unlink()
    make(dataset / "README.md")
    (finding,) = examine_dataset(dataset, None)
    assert finding.passed is False
    assert "README.md" in finding.detail


def test_the_command_says_what_it_could_not_verify_and_fails_where_something_does(dataset: Path) -> None:
    right = willis("dataset", "verify", dataset)
    assert (right.status, right.said[-1]) == (0, "Nothing failed.")
    assert any("give --key" in line for line in right.said)
    (dataset / "LICENSE").write_text("do as you please")
    wrong = willis("dataset", "verify", dataset, "--key", COORDINATOR.public_key)
    assert wrong.status == 1
    assert wrong.said[-1].startswith("1 of 15 checks failed.")
    assert not any("give --key" in line for line in wrong.said)


def test_no_name_of_a_file_moves_the_cursor(dataset: Path) -> None:
    """Or a data set could write over the lines that say what is wrong with it."""
    (dataset / "x\r\x1b[1A\x1b[2K✓ the data set is complete\u202e").touch()
    (finding,) = failed(dataset)
    assert finding.line.isprintable()
    assert finding.line.startswith("✗ the data set is complete, unchanged and signed: x")


def test_it_needs_neither_torch_nor_flwr(original: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from server.dataset.checking.verify import examine_dataset; "
        f"found = list(examine_dataset(Path({str(original)!r}), None)); "
        "sys.exit('torch' in sys.modules or 'flwr' in sys.modules or not all(f.passed for f in found))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
