"""What lies in a data set beside the images, and the folder it is packed into."""

import csv
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import nibabel as nib
import pytest
import yaml

from server.dataset.files.croissant import PRIVACY
from server.dataset.files.seal import PROOF, SUMS
from server.dataset.pack import pack
from shared.errors import PublicationRefused, UsageError
from shared.imaging import nifti
from shared.imaging.anatomy import STRUCTURES
from shared.ledger.log import read_entry
from shared.ledger.tlog_proof import parse_tlog_proof
from shared.privacy.accounting import cost
from shared.privacy.events import NoiseSource
from tests.commands import willis
from tests.server.datasets import KINDS, released
from tests.server.ledgers import COORDINATOR, DELTA, RUN_ID, SITES, Story

CLAIM = str(cost([Story().plan], DELTA))


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: released(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


def loaded(path: Path) -> Any:
    return json.loads(path.read_bytes())


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_cases_give_the_same_bytes(datasets: dict[str, Path], kind: str, tmp_path: Path) -> None:
    again = released(tmp_path, kind)
    files = [path.relative_to(again) for path in again.rglob("*") if path.is_file()]
    assert PROOF in map(str, files)
    assert all((again / name).read_bytes() == (datasets[kind] / name).read_bytes() for name in files)


def test_every_header_says_that_it_is_synthetic_of_which_run_and_on_which_ledger(
    datasets: dict[str, Path],
) -> None:
    for folder in datasets.values():
        root = loaded(folder / "dataset_description.json")["DifferentialPrivacy"]["ledger"]["root"]
        for path in folder.rglob("*.nii.gz"):
            description, (comment,) = nifti.read_words(path)
            assert description == f"SYNTHETIC willis {RUN_ID[:12]}"
            assert comment.startswith("SYNTHETIC\n")
            assert RUN_ID in comment
            assert root in comment
            assert [e.get_code() for e in nib.load(path).header.extensions] == [6]


def test_a_sidecar_says_stripped_only_where_labels_show_it(datasets: dict[str, Path]) -> None:
    assert loaded(datasets["strokes"] / "desc-synthetic_trace.json")["SkullStripped"] is True
    assert loaded(datasets["vessels"] / "desc-synthetic_angio.json")["SkullStripped"] is False
    assert loaded(datasets["vessels"] / "label-vessels_desc-synthetic_mask.json")["Type"] == "ROI"


def test_numbers_of_anatomical_maps_have_names(datasets: dict[str, Path]) -> None:
    with (datasets["strokes"] / "seg-anatomy_desc-synthetic_dseg.tsv").open() as table:
        names = {int(row["index"]): row["name"] for row in csv.DictReader(table, delimiter="\t")}
    assert names == {structure.number: structure.name for structure in STRUCTURES}


def test_what_bids_has_no_names_for_is_left_out_of_what_is_claimed_to_be_bids(datasets: dict[str, Path]) -> None:
    folder = datasets["perfusion"]
    assert {path.parent.name for path in folder.rglob("*.nii.gz")} == {"perf"}
    assert "sub-*/perf" in (folder / ".bidsignore").read_text().split()
    assert "BIDS-like" in (folder / "README.md").read_text()
    assert "BIDS-like" not in (datasets["strokes"] / "README.md").read_text()


def test_frameworks_are_told_image_and_label(datasets: dict[str, Path]) -> None:
    about = loaded(datasets["strokes"] / "dataset.json")
    stem = "sub-syn0001/dwi/sub-syn0001"
    pair = (f"{stem}_desc-synthetic_trace.nii.gz", f"{stem}_label-lesion_desc-synthetic_mask.nii.gz")
    assert about["training"][0] == {"image": pair[0], "label": pair[1]}
    assert about["dataset"]["sub-syn0001"] == {"images": [pair[0]], "label": pair[1]}
    assert (about["channel_names"], about["labels"]) == ({"0": "dwi"}, {"background": 0, "lesion": 1})
    perfusion = loaded(datasets["perfusion"] / "dataset.json")
    assert perfusion["channel_names"] == {"0": "cbf", "1": "cbv"}  # a series is no channel
    masks = loaded(datasets["lesions"] / "dataset.json")
    assert set(masks["training"][0]) == {"label"}
    assert "dataset" not in masks


def test_the_claim_is_never_made_without_what_gives_it_a_meaning(datasets: dict[str, Path]) -> None:
    folder = datasets["vessels"]
    assert CLAIM in " ".join(loaded(folder / "croissant.json")[PRIVACY])
    assert CLAIM in loaded(folder / "zenodo.json")["metadata"]["description"]
    for name in ("README.md", "croissant.json", "zenodo.json"):
        text = (folder / name).read_text()
        assert len(re.findall(r"ε = \d", text)) == text.count(CLAIM)


def test_the_registry_record_is_the_reports_but_for_the_log_it_was_made_from(datasets: dict[str, Path]) -> None:
    folder = datasets["vessels"]
    mine, reports = (
        yaml.safe_load((place / "registry.yaml").read_text())["deployment"]
        for place in (folder, folder.parent / "report")
    )
    for record in (mine, reports):
        record["implementation"].pop("mechanisms")
    assert mine == reports


def test_the_proof_is_of_this_release_in_this_log(datasets: dict[str, Path]) -> None:
    proof = parse_tlog_proof((datasets["vessels"] / PROOF).read_text(), "proof")
    assert proof.holds(COORDINATOR.public_key)
    log = (datasets["vessels"].parent / "ledger" / "ledger.jsonl").read_bytes().splitlines()
    assert log[proof.index] == proof.entry
    assert read_entry(proof.entry, proof.index, "proof").event.type == "release"


def test_sites_are_named_as_sources_that_are_not_public(datasets: dict[str, Path]) -> None:
    sources = loaded(datasets["vessels"] / "dataset_description.json")["SourceDatasets"]
    assert len(sources) == len(SITES)
    assert all("not public" in source["Description"] for source in sources)


def test_the_commands_on_the_card_check_the_seal(datasets: dict[str, Path]) -> None:
    if not (shutil.which("ssh-keygen") and shutil.which("sha256sum")):
        pytest.skip("ssh-keygen or sha256sum is missing: the commands on the card were NOT run")
    card = (datasets["vessels"] / "README.md").read_text()
    (block,) = re.findall(r"```\n(sha256sum.*?)```", card, re.DOTALL)
    sums, signature, ours = block.splitlines()
    for line in (sums, signature):
        assert subprocess.run(line, shell=True, cwd=datasets["vessels"], check=False).returncode == 0
    program, *words = ours.split()
    assert program == "willis"
    assert willis(*words[:-1], datasets["vessels"]).status == 0


def test_a_simulation_says_so_in_every_record(tmp_path: Path) -> None:
    folder = released(tmp_path, story=Story(noise_source=NoiseSource.SEEDED))
    for name in ("README.md", "croissant.json", "zenodo.json", "dataset.json", "registry.yaml"):
        assert "SIMULATION" in (folder / name).read_text()
    assert nifti.read_words(next(folder.rglob("*.nii.gz")))[1][0].startswith("SIMULATION, NOT A RELEASE\n")


def test_a_pack_has_the_same_bytes_and_holds_the_whole_data_set(datasets: dict[str, Path], tmp_path: Path) -> None:
    folder = datasets["strokes"]
    archive, again = (pack(folder, tmp_path / name) for name in ("one", "two"))
    assert [(p.name, p.read_bytes()) for p in sorted(archive.parent.iterdir())] == [
        (p.name, p.read_bytes()) for p in sorted(again.parent.iterdir())
    ]
    beside = {"README.md", "contact-sheet.png", "croissant.json", "manifest.tsv", "registry.yaml", "zenodo.json"}
    assert {p.name for p in archive.parent.iterdir()} == {archive.name, PROOF, SUMS, *beside}
    with tarfile.open(archive) as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in tar} == {(0, 0, 0, "", 0o644)}
        tar.extractall(tmp_path / "out", filter="data")
    (inside,) = (tmp_path / "out").iterdir()
    assert willis("dataset", "verify", inside).status == 0
    assert len(list(inside.rglob("*"))) == len(list(folder.rglob("*")))


def test_only_a_whole_released_data_set_is_packed(datasets: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(datasets["vessels"], tmp_path / "dataset"))
    proof = (folder / PROOF).read_bytes()
    (folder / PROOF).unlink()
    with pytest.raises(PublicationRefused, match="never released"):
        pack(folder, tmp_path / "out")
    (folder / PROOF).write_bytes(proof)
    (folder / "LICENSE").write_text("mine")
    with pytest.raises(PublicationRefused, match="LICENSE was changed"):
        pack(folder, tmp_path / "out")
    with pytest.raises(UsageError, match="exists already"):
        pack(datasets["vessels"], tmp_path / "dataset")
