"""The page of a data set holds its first cases, trusts nothing it shows, and never asks the network."""

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from server.dataset.files.cases import SHEET_CASES, write_cases
from server.dataset.viewer import VIEWER
from server.dataset.viewer import cases as viewer_cases
from server.dataset.viewer.cases import shown_cases
from server.dataset.viewer.page import NIIVUE, NIIVUE_SHA256, NIIVUE_VERSION, viewer_page, write_viewer
from shared.imaging.scan import Role, Scan, Timing
from tests.server.test_publication import released, scans

HERE = Path(viewer_cases.__file__).parent
ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released(tmp_path_factory.mktemp("run"))


def test_niivue_is_the_file_of_the_npm_package_and_its_licence_comes_with_it() -> None:
    assert hashlib.sha256((HERE / NIIVUE).read_bytes()).hexdigest() == NIIVUE_SHA256
    licences = (HERE / "niivue.LICENSES.txt").read_text()
    assert f"NiiVue {NIIVUE_VERSION}" in licences
    assert "Redistributions in binary form must reproduce" in licences
    assert "</script" not in (HERE / NIIVUE).read_text(encoding="utf-8").lower()


def test_the_same_files_give_the_same_page(dataset: Path) -> None:
    assert viewer_page(dataset).encode() == (dataset / VIEWER).read_bytes()


def test_only_the_page_s_own_scripts_and_style_may_run_and_nothing_be_loaded(dataset: Path) -> None:
    page = (dataset / VIEWER).read_text(encoding="utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(maxsplit=1) for rule in policy.replace("\n", " ").split(";"))
    assert rules.pop("img-src") == "data:"
    inline = {
        "script-src": re.findall(r"<script>(.*?)</script>", page, re.DOTALL),
        "style-src": re.findall(r"<style>(.*?)</style>", page.partition("<body>")[0], re.DOTALL),
    }
    for name, texts in inline.items():
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert rules.pop(name).split() == [f"'sha256-{digest}'" for digest in digests]
    assert set(rules.values()) == {"'none'"}
    assert "default-src" in rules
    beside = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)
    assert not re.search(r'(src|href)="(?!data:image/png|#)|\sstyle=|\son\w+=', beside)


def test_nothing_of_the_data_set_becomes_markup(dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset, tmp_path / "copy")
    with (copy / "README.md").open("a") as card:
        card.write(f"\n## {ATTACK}\n\n{ATTACK} [here](javascript:alert(1)) ![x](http://example.org/x.png)\n")
    rows = json.loads((copy / "manifest.json").read_bytes())
    rows[0]["participant_id"] = ATTACK
    (copy / "manifest.json").write_text(json.dumps(rows))
    about = json.loads((copy / "dataset_description.json").read_bytes())
    about["Name"] = about["DifferentialPrivacy"]["condition"] = ATTACK
    for claims in (about["DifferentialPrivacy"], about["DifferentialPrivacy"]["if_planned"]):
        claims["sites"] = {ATTACK: claims["maximum"]}
    (copy / "dataset_description.json").write_text(json.dumps(about))
    page = viewer_page(copy)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert not re.search(r"<a [^>]*(?:javascript|example)", page)
    assert len(re.findall(r"<script[ >]", page)) == len(re.findall(r"<script[ >]", viewer_page(dataset)))


def test_the_first_cases_are_shown_as_their_files_are_and_no_more_than_fit(tmp_path: Path) -> None:
    made = write_cases(tmp_path, scans(SHEET_CASES + 2), prefix="syn", description="")
    (tmp_path / "manifest.json").write_text(json.dumps([case.row() for case in made]))
    shown = shown_cases(tmp_path)
    assert [case["name"] for case in shown] == [case.name for case in made[:SHEET_CASES]]
    for case, file in zip(shown, made, strict=False):
        (image,) = case["images"]
        assert base64.b64decode(image["data"]) == (tmp_path / file.files[Role.ANGIO]).read_bytes()
    length = sum(len(v["data"]) for v in [*shown[0]["images"], *shown[0]["labels"]])
    assert len(shown_cases(tmp_path, most=2 * length + length // 2)) == 2
    assert shown_cases(tmp_path, most=length - 1) == []


def test_a_page_too_small_for_any_case_says_so(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.dataset.viewer.page.shown_cases", lambda folder: [])
    page = viewer_page(dataset)
    assert "One case is larger than this page may hold" in page
    assert "<script" not in page
    assert len(page) < 200_000


def test_the_first_look_is_where_the_smallest_label_is_fullest(tmp_path: Path) -> None:
    brain, lesion = np.ones((8, 9, 10), np.float32), np.zeros((8, 9, 10), np.float32)
    lesion[2, 3, 4:7] = lesion[2, 4:6, 6] = 1
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = (-10, 20, 0)
    volumes = {Role.DWI: brain, Role.BRAIN: brain, Role.LESION: lesion}
    made = write_cases(tmp_path, [Scan(volumes, affine)], prefix="syn", description="")
    (tmp_path / "manifest.json").write_text(json.dumps([case.row() for case in made]))
    (case,) = shown_cases(tmp_path)
    assert case["start"] == [2 * 2 - 10, 3 * 3 + 20, 4 * 6]
    assert [(label["title"], label["on"]) for label in case["labels"]] == [
        ("brain", False),  # it would hide the image
        ("lesion", True),
    ]


def test_series_are_left_out(tmp_path: Path) -> None:
    flow = np.ones((4, 5, 2), np.float32)
    volumes = {Role.DSC: np.ones((4, 5, 2, 6), np.float32), Role.CBF: flow, Role.TMAX: flow, Role.BRAIN: flow}
    made = write_cases(tmp_path, [Scan(volumes, np.eye(4), Timing(1.5, 0.03))], prefix="syn", description="")
    (tmp_path / "manifest.json").write_text(json.dumps([case.row() for case in made]))
    (case,) = shown_cases(tmp_path)
    titles = [image["title"] for image in case["images"]]
    assert titles == ["cerebral blood flow (ml/100 g/min)", "time of the residue function's maximum (s)"]


def test_every_volume_has_a_title() -> None:
    assert {role for role in Role if not role.is_series} == set(viewer_cases.TITLES)


def test_the_page_stays_below_its_size(dataset: Path) -> None:
    write_viewer(dataset)
    sheet = (dataset / "contact-sheet.png").stat().st_size
    beside = (dataset / VIEWER).stat().st_size - (HERE / NIIVUE).stat().st_size
    assert beside + viewer_cases.MOST - 4 * sheet // 3 < 8_000_000
