"""What `willis dataset verify` asks, in order: the seal, the log, the claims, the images, the tables, the release.

Everything is read from the one folder; nothing in it is trusted, and what cannot be read is a finding. No path
named inside the folder is opened unless it is a plain file that lies there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from server.audit.checks import guarded
from server.audit.dataset_checks import check_seal
from server.dataset.checking.images import check_images
from server.dataset.checking.log import (
    Evidence,
    check_claims,
    check_head,
    check_proof,
    check_registry,
    check_rules,
    check_signers,
    evidence_in,
)
from server.dataset.checking.tables import check_tables
from server.dataset.files.cases import Case
from server.dataset.files.manifest import listed_cases
from server.dataset.files.mark import mark_of
from shared.errors import PublicationRefused, WillisError
from shared.ledger.finding import Finding


def examine_dataset(folder: Path, key: str | None) -> Iterator[Finding]:
    """Yield every finding about a data set; stops where nothing more can be said.

    Args:
        folder: the data set.
        key: the coordinator's public key (hexadecimal) as the verifier got it; without one, the ledger's own.
    """
    plain = check_plain(folder)
    yield plain
    if not plain.passed:
        return
    check = "the ledger in the folder is whole, and every entry signed by the one it binds"
    try:
        found = evidence_in(folder, key)
    except (WillisError, OSError, ValueError, LookupError, TypeError, RecursionError) as err:
        yield Finding(check, False, f"{' '.join(str(err).split())[:300]}; nothing else was checked")
        return
    yield check_seal(folder, found.key)
    yield Finding(check, True, f"{len(found.events)} entries, run {found.seen.run.run[:12]}")
    yield from (check(found) for check in (check_signers, check_head, check_rules, check_claims))
    yield from _contents(found)
    yield from (check(found) for check in (check_registry, check_proof))


def require_sound(folder: Path) -> None:
    """Refuse to do anything with a data set that fails a check.

    Raises:
        PublicationRefused: the first failure.
    """
    if failed := [finding.line for finding in examine_dataset(folder, None) if finding.passed is False]:
        raise PublicationRefused(f"{folder}: {failed[0]}; see `willis dataset verify`, and get it again")


def check_plain(folder: Path) -> Finding:
    """Check that only plain files lie in the folder: a link, a pipe or a device is never opened."""
    odd = [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not (path.is_file() or path.is_dir())
    ]
    problems = [f"{name[:80]!r} is a link, a pipe or a device; nothing was read" for name in sorted(odd)]
    return Finding.of("the folder holds plain files only", problems, "no links, pipes or devices")


def _contents(found: Evidence) -> Iterator[Finding]:
    """Yield what concerns images and tables; without a readable manifest there is nothing to compare with."""
    rows: list[dict[str, Any]] = []
    cases: list[Case] = []

    def listed() -> Finding:
        rows.extend(listed_cases(found.folder))
        return Finding.of("the manifest lists the cases", ["it lists none"] * (not rows), f"{len(rows)} cases")

    manifest = guarded("the manifest lists the cases", listed)
    yield manifest
    if manifest.passed:
        yield check_images(found.folder, rows, mark_of(found.seen, found.head), cases)
        yield from check_tables(found.folder, cases)
