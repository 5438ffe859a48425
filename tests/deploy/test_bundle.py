import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.bundle import PACKAGES, SUFFIXES, Bundle, build_bundle
from deploy.site.contents import read_bundle
from shared.code import code_digest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return build_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def unpacked(bundle: Bundle, tmp_path: Path) -> Path:
    with zipfile.ZipFile(bundle.path) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def inside(folder: Path, program: str) -> str:
    """Run a program that finds our packages in the bundle alone, as Flower puts it first on the path."""
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); {program}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


def test_the_same_code_gives_the_same_bytes_wherever_and_whenever(bundle: Bundle, tmp_path: Path) -> None:
    for path in bundle.app.rglob("*.py"):
        os.utime(path, (1, 1))
    again = build_bundle(tmp_path / "other place")
    assert (again.hash, again.path.read_bytes()) == (bundle.hash, bundle.path.read_bytes())


def test_flwr_run_makes_the_same_bytes_of_the_app_folder(bundle: Bundle, tmp_path: Path) -> None:
    from flwr.cli.build import build_fab_from_disk

    assert build_fab_from_disk(bundle.app) == bundle.path.read_bytes()


def test_no_file_of_the_packages_is_left_out_and_none_is_added(bundle: Bundle) -> None:
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for suffix in SUFFIXES
        for path in (ROOT / package).rglob(f"*{suffix}")
    }
    assert set(read_bundle(bundle.path.read_bytes()).files) == {*expected, "pyproject.toml", ".info/CONTENT"}


def test_the_code_has_the_digest_of_the_code_installed(unpacked: Path) -> None:
    said = inside(unpacked, "from shared import code; print(code.__file__); print(code.code_digest())").split()
    assert said == [str(unpacked / "shared" / "code.py"), code_digest()]


@pytest.mark.slow
def test_both_apps_load_from_the_bundle_alone(unpacked: Path) -> None:
    program = (
        "import json, client.app, server.app;"
        "ours = [m for n, m in sys.modules.items() if n.split('.')[0] in ('client', 'server', 'shared')];"
        "print(json.dumps([m.__file__ for m in ours if m.__file__]))"
    )
    files = json.loads(inside(unpacked, program).splitlines()[-1])
    assert len(files) > 20
    assert all(Path(file).is_relative_to(unpacked) for file in files)
