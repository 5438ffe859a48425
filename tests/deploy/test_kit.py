"""The install kit: units as hardened as said, a wheelhouse that refuses what was changed, the ledger kept."""

import os
import re
import shutil
import subprocess
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from deploy.coordinator.home import CoordinatorHome
from deploy.settings import write_settings
from deploy.site.home import SETTINGS_FILE, SiteHome, SiteSettings
from tests.cohorts import snapshot
from tests.deploy.folders import centre
from tests.server.ledgers import Story

KIT = Path(__file__).parents[2] / "deploy" / "kit"
UNITS = ("willis-coordinator", "willis-site")
MOST_EXPOSURE = 2.0
SCRIPTS = sorted(KIT.glob("*.sh"))


def exposure(root: Path, unit: str) -> float:
    """Return what systemd says of a unit installed below `root`, drop-ins included (0: safe, 10: unsafe)."""
    command = ["systemd-analyze", f"--root={root}", "security", "--offline=true", "--no-pager", f"{unit}.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"})
    (found,) = re.findall(r"Overall exposure level for .*: ([\d.]+)", done.stdout)
    return float(found)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", UNITS)
def test_units_are_hardened_and_the_gpu_costs_what_is_said(tmp_path: Path, unit: str) -> None:
    installed = tmp_path / "etc" / "systemd" / "system"
    installed.mkdir(parents=True)
    shutil.copy(KIT / "systemd" / f"{unit}.service", installed)
    plain = exposure(tmp_path, unit)
    (installed / f"{unit}.service.d").mkdir()
    shutil.copy(KIT / "systemd" / "gpu.conf", installed / f"{unit}.service.d")
    with_gpu = exposure(tmp_path, unit)
    assert plain < with_gpu <= MOST_EXPOSURE
    page = (KIT.parents[1] / "docs" / "deploy" / "hospital-it.md").read_text(encoding="utf-8")
    assert f"{plain} (with a GPU {with_gpu})" in page


@pytest.mark.parametrize("unit", UNITS)
def test_units_start_the_command_in_its_state_folder_as_nobody_special(unit: str) -> None:
    lines = (KIT / "systemd" / f"{unit}.service").read_text(encoding="utf-8").splitlines()
    who = unit.removeprefix("willis-")
    assert f"ExecStart=/opt/willis/bin/willis {who} --home /var/lib/{unit} up" in lines
    assert {f"StateDirectory={unit}", "User=willis", "NoNewPrivileges=yes", "ProtectSystem=strict"} <= set(lines)
    silent = {"StandardOutput=null", "StandardError=null"} <= set(lines)
    assert silent is (who == "site")  # a hospital's log may name files of patients, and journals are forwarded
    # Measured: PyTorch's convolutions cannot be compiled under it, and training fails.
    assert not any(line.startswith("MemoryDenyWriteExecute=yes") for line in lines)


def test_containers_have_no_rights_and_only_the_centre_a_port() -> None:
    services = yaml.safe_load((KIT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"centre", "hospital"}
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service["user"].startswith("0")
        assert service["tmpfs"]
    assert services["centre"]["ports"] == ["8443:8443"]
    assert "ports" not in services["hospital"]
    assert all("Not run where it was written" in (KIT / n).read_text() for n in ("compose.yaml", "Containerfile"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_stop_at_the_first_error(script: Path) -> None:
    assert "\nset -euo pipefail\n" in script.read_text(encoding="utf-8")
    assert os.access(script, os.X_OK)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", script], check=True)


def run(script: Path, *words: object, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the kit."""
    command = ["bash", script, *words]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env={**os.environ, **env})


def write_wheel(folder: Path, name: str, needs: str = "") -> Path:
    """Write a wheel with one empty module."""
    info = f"{name}-1.0.dist-info"
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    records = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for inside, text in {**files, f"{info}/RECORD": records}.items():
            wheel.writestr(inside, text)
    return path


@pytest.mark.slow
def test_a_wheelhouse_installs_offline_and_refuses_one_flipped_digit(tmp_path: Path) -> None:
    (shelf := tmp_path / "shelf").mkdir()
    write_wheel(shelf, "willis_first", needs="willis_second")
    write_wheel(shelf, "willis_second")
    house, offline = tmp_path / "house", {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(shelf)}
    built = run(KIT / "wheelhouse.sh", house, "willis_first", **offline)
    assert built.returncode == 0, built.stderr
    lock = (house / "requirements.txt").read_text()
    for wheel in shelf.iterdir():
        assert f"==1.0 --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n" in lock
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=house, check=True)

    installed = run(house / "install.sh", tmp_path / "prefix")
    assert installed.returncode == 0, installed.stderr
    python = tmp_path / "prefix" / "bin" / "python"
    subprocess.run([python, "-c", "import willis_first, willis_second"], check=True)
    assert "exists" in run(house / "install.sh", tmp_path / "prefix").stderr

    digit = lock.index("sha256:") + len("sha256:")
    flipped = "0" if lock[digit] != "0" else "1"
    (house / "requirements.txt").write_text(lock[:digit] + flipped + lock[digit + 1 :])
    refused = run(house / "install.sh", tmp_path / "second")
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert not (tmp_path / "second").exists()


def installation(root: Path) -> tuple[CoordinatorHome, SiteHome]:
    """Return a centre and a hospital installed below `root`, with software, units, keys, logs and runs."""
    state = root / "var" / "lib"
    home = centre(state / "willis-coordinator", Story().events())
    site = SiteHome(state / "willis-site")
    write_settings(site.settings_file, SiteSettings(name="north", cohort=Path("/data")))
    for path in (
        root / "opt/willis/bin/willis",
        *(root / "etc/systemd/system" / f"{unit}.service" for unit in UNITS),
        root / "etc/systemd/system/willis-site.service.d/gpu.conf",
        home.ca / "ca.key",
        home.path / "runs/first/run.json",
        site.path / "policy.toml",
        site.keys / "node",
        site.logs / "up.jsonl",
        site.path / ".willis/site.log",
        site.path / ".willis/ledger.sqlite",
        site.path / ".willis/runs/ab/answer-000001.safetensors",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return home, site


def test_uninstalling_leaves_the_ledger_and_nothing_else(tmp_path: Path) -> None:
    home, site = installation(tmp_path)
    before = snapshot(tmp_path)
    said = run(KIT / "uninstall.sh", "--root", tmp_path)
    assert said.returncode == 0
    assert "nothing was removed" in said.stdout
    assert snapshot(tmp_path) == before

    assert run(KIT / "uninstall.sh", "--root", tmp_path, "--yes").returncode == 0
    kept = (home.path / "federation", site.path / ".willis", site.path / "policy.toml")
    left = snapshot(tmp_path)
    expected = {
        path: data
        for path, data in before.items()
        if any(path == k or k in path.parents for k in kept) and path.name != "site.log"
    }
    assert left == expected
    assert len(left) >= 6
    with pytest.raises(FileNotFoundError):
        (site.path / SETTINGS_FILE).read_text()


def test_the_ledger_goes_only_by_its_name(tmp_path: Path) -> None:
    home, site = installation(tmp_path)
    run(KIT / "uninstall.sh", "--root", tmp_path, "--yes", "--ledger-of", "nor")
    assert (site.path / ".willis").exists()
    assert (home.path / "federation").exists()
    home, site = installation(tmp_path / "again")
    run(KIT / "uninstall.sh", "--root", tmp_path / "again", "--yes", "--ledger-of", "north")
    assert not site.path.exists()
    assert (home.path / "federation").exists()
