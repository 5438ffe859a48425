"""A centre and hospitals in folders, set up by the commands a person would give."""

import re
from datetime import datetime
from pathlib import Path

from deploy.coordinator import approval
from deploy.coordinator.home import CoordinatorHome
from deploy.requests import Request
from deploy.site.home import SiteHome
from deploy.site.joined import install
from shared.fingerprint import key_fingerprint
from tests.commands import Outcome, willis


def centre(folder: Path, *words: object) -> CoordinatorHome:
    """Found a federation that hospitals reach at localhost."""
    done = willis("coordinator", "--home", folder, "init", "--name", "stroke-net", "--host", "localhost", *words)
    assert done.status == 0, done
    return CoordinatorHome(folder)


def hospital(folder: Path) -> SiteHome:
    """Set a hospital up, named as its folder, with its request in the working folder."""
    (folder / "images").mkdir(parents=True)
    done = willis(*("site", "--home", folder, "request", "--name", folder.name, "--cohort", folder / "images"))
    assert done.status == 0, done
    return SiteHome(folder)


def request_of(site: SiteHome) -> Request:
    """Return the request that a hospital made last."""
    return Request.at(Path(f"{site.settings.name}.request"))


def fingerprint_of(home: CoordinatorHome) -> str:
    """Return what the centre reads out."""
    return key_fingerprint(home.federation.identity.public_key)


def shown(done: Outcome) -> str:
    """Return the fingerprint that a command showed."""
    (found,) = re.findall(r"(?:[0-9A-F]{4} ){7}[0-9A-F]{4}", "\n".join(done.said))
    return str(found)


def approve(home: CoordinatorHome, site: SiteHome) -> Path:
    """Have the centre approve a hospital whose fingerprint was read to it; return the answer's file."""
    name = site.settings.name
    fingerprint = request_of(site).fingerprint
    done = willis("coordinator", "--home", home.path, "approve", f"{name}.request", "--fingerprint", fingerprint)
    assert done.status == 0, done
    return Path(f"{name}.answer")


def join(home: CoordinatorHome, site: SiteHome) -> SiteHome:
    """Have a hospital approved and install the answer; return it with its settings as they are then."""
    answer = approve(home, site)
    done = willis("site", "--home", site.path, "join", answer, "--fingerprint", fingerprint_of(home))
    assert done.status == 0, done
    return SiteHome(site.path)


def joined_at(home: CoordinatorHome, site: SiteHome, now: datetime) -> SiteHome:
    """Have a hospital approved at another time, and install the answer whatever the clock says."""
    install(site, approval.approve(home, request_of(site), now))
    return SiteHome(site.path)


def replace_in(path: Path, old: str, new: str) -> None:
    """Edit a file as a person would."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder, but for locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and "lock" not in path.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
