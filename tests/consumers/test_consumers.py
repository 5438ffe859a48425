"""A published data set is valid for, and loads in, programs that are not ours."""

import csv
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from server.dataset.pack import pack
from shared.imaging import nifti
from tests.consumers.outside import program, run
from tests.server.datasets import KINDS, released

pytestmark = pytest.mark.consumers
_CODE = re.compile(r"^([\w ]+):\n\n```python\n(.*?)\n```", re.MULTILINE | re.DOTALL)
# What each library's case holds, as {name: array}; the card's own lines come before.
_FOUND = {
    "nibabel": "{k: globals()[k].get_fdata() for k in ('image', 'label') if k in globals()}",
    "MONAI": "{k: case[k].numpy() for k in ('image', 'label') if k in case}",
    "TorchIO": "{k: case[k].numpy()[0] for k in case}",
    "Hugging Face datasets": "{k: v.get_fdata() for k, v in case.items() if k != 'participant_id'}",
}
_TELL = "\nimport json\nprint(json.dumps({{k: [list(v.shape), float(v.sum())] for k, v in {found}.items()}}))"


@pytest.fixture(scope="module", params=KINDS)
def dataset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released(tmp_path_factory.mktemp("run"), request.param)


def told(files: str | list[str], folder: Path) -> list[object]:
    """Return shape and sum of a file's voxels, or of several files' as channels."""
    volumes = [read(folder / file) for file in ([files] if isinstance(files, str) else files)]
    voxels = volumes[0] if isinstance(files, str) else np.stack(volumes)
    return [list(voxels.shape), pytest.approx(float(voxels.sum()), rel=1e-4)]


def read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return (nifti.read_series if "_dsc" in path.name else nifti.read)(path)[0]


@pytest.mark.parametrize("library", _FOUND)
def test_the_lines_on_the_card_load_a_case(dataset: Path, tmp_path: Path, library: str) -> None:
    lines = dict(_CODE.findall((dataset / "README.md").read_text()))
    assert set(lines) == set(_FOUND)
    assert len(lines[library].splitlines()) <= 3
    code = lines[library] + _TELL.format(found=_FOUND[library])
    ended = run([sys.executable, "-c", code], dataset, tmp_path)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    if library == "Hugging Face datasets":
        row = next(csv.DictReader((dataset / "metadata.csv").open()))
        expected = {k.removesuffix("_file_name"): v for k, v in row.items() if k != "participant_id"}
    else:
        expected = json.loads((dataset / "dataset.json").read_bytes())["training"][0]
        if library != "MONAI" and isinstance(expected.get("image"), list):
            expected["image"] = expected["image"][0]  # these lines show one image
    assert found == {name: told(files, dataset) for name, files in expected.items()}


def test_bids_finds_no_error(dataset: Path, tmp_path: Path) -> None:
    words = [program("bids-validator-deno"), ".", "--format", "json", "--max-rows", "-1"]
    ended = run(words, dataset, tmp_path)
    issues = json.loads(ended.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    assert {issue["code"] for issue in issues} <= {"SIDECAR_KEY_RECOMMENDED", "TOO_FEW_AUTHORS"}
    assert ended.returncode == 0


def test_bids_would_find_a_wrong_name(dataset: Path, tmp_path: Path) -> None:
    """The control: the names that were given before fail."""
    (dataset / "sub-syn0001" / "anat").mkdir(exist_ok=True)
    wrong = dataset / "sub-syn0001" / "anat" / "sub-syn0001_desc-synthetic_label-vessels_mask.nii.gz"
    nifti.write(wrong, np.ones((2, 2, 2), np.uint8), np.eye(4))
    ended = run([program("bids-validator-deno"), ".", "--format", "json"], dataset, tmp_path)
    wrong.unlink()
    assert "FILENAME_MISMATCH" in ended.stdout
    assert ended.returncode != 0


def test_croissant_is_valid_and_its_records_load(dataset: Path, tmp_path: Path) -> None:
    packed = pack(dataset, tmp_path / "packed").parent
    for folder in (dataset, packed):
        checked = run([program("mlcroissant"), "validate", "--jsonld", "croissant.json"], folder, tmp_path)
        assert checked.returncode == 0, checked.stderr
        assert re.findall(r'Property "[^"]*/(\w+)"', checked.stderr) == [
            "datePublished"
        ]  # the ledger has no dates
        loaded = run([sys.executable, "-c", _RECORDS], folder, tmp_path)
        assert loaded.returncode == 0, loaded.stderr
        rows = list(csv.DictReader((dataset / "manifest.tsv").open(), delimiter="\t"))
        assert json.loads(loaded.stdout.splitlines()[-1]) == rows
    table = packed / "manifest.tsv"
    table.write_bytes(table.read_bytes().replace(b"sub-syn0001", b"sub-syn0009"))
    assert run([sys.executable, "-c", _RECORDS], packed, tmp_path).returncode != 0  # its checksum is in Croissant


_RECORDS = """
import json, mlcroissant
records = mlcroissant.Dataset("croissant.json").records("cases")
told = lambda value: value.decode() if isinstance(value, bytes) else str(value)
print(json.dumps([{key.removeprefix("cases/"): told(value) for key, value in row.items()} for row in records]))
"""
