"""`willis site review`, `approve` and `revoke`: the hospital's word on the code it runs."""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from deploy.bundle import build_bundle, release
from deploy.site.approvals import Approvals
from deploy.site.contents import MOST_BYTES, Contents, read_bundle
from deploy.site.differences import changes
from deploy.site.home import SiteHome
from shared.errors import UsageError


@click.command()
@click.argument("bundle", metavar="[FILE|HASH]", required=False)
@click.option("--stat", is_flag=True, help="Only which files changed, and by how many lines.")
@click.pass_obj
def review(home: SiteHome, bundle: str | None, stat: bool) -> None:
    """Show what changed in an app bundle since the last one that was approved and may still run.

    Where none may: what it has that the Willis installed here has not.

    Without an argument: the bundle that waits for a decision or, if none does, that of the Willis installed here.
    A FILE that came by mail is kept, to be approved by its hash. The last line is the command that approves what
    was shown.
    """
    approvals = Approvals(home.bundles)
    own = _installed()
    content = _from_file(approvals, Path(bundle)) if bundle and Path(bundle).is_file() else None
    if content is None:
        content = _asked(approvals, bundle, own)
    lines = list(_report(approvals, content, own, stat))
    if stat:
        click.echo("\n".join(lines))
    else:
        click.echo_via_pager(f"{line}\n" for line in lines)
    hash_ = hashlib.sha256(content).hexdigest()
    approvals.note_review(hash_)
    click.echo(f"willis site approve {hash_}")


@click.command()
@click.argument("start", metavar="[HASH]", required=False)
@click.option("--note", default="", help="Why; kept with the decision.")
@click.pass_obj
def approve(home: SiteHome, start: str | None, note: str) -> None:
    """Let this hospital run an app bundle.

    Without an argument: the bundle that the last review showed, whatever the centre has sent since. Where nothing
    was reviewed and nothing waits for a decision: that of the Willis installed here, so that it is approved before
    the first run. The first digits of a hash will do.
    """
    approvals = Approvals(home.bundles)
    own = _installed()
    content = _asked(approvals, start, own) if start is not None else _shown(approvals, own)
    _read(content)
    hash_ = approvals.approve(content, note)
    click.echo(f"approved {hash_}, which {_likeness(content, own)}")


@click.command()
@click.argument("start", metavar="HASH")
@click.option("--note", default="", help="Why; kept with the decision.")
@click.pass_obj
def revoke(home: SiteHome, start: str, note: str) -> None:
    """Run an app bundle no longer, from the next message on; or decline one that waits for a decision."""
    approvals = Approvals(home.bundles)
    hash_ = approvals.find(start)
    approvals.revoke(hash_, note)
    click.echo(f"revoked {hash_}")


def _asked(approvals: Approvals, named: str | None, own: bytes) -> bytes:
    """Return the bundle a person means.

    Raises:
        UsageError: several wait for a decision, or no bundle has this name.
    """
    if named is not None:
        installed = bool(named) and hashlib.sha256(own).hexdigest().startswith(named)
        return own if installed else approvals.read(approvals.find(named))
    pending = approvals.pending()
    if len(pending) > 1:
        raise UsageError(f"{len(pending)} bundles wait for a decision, name one: {', '.join(pending)}")
    return approvals.read(pending[0]) if pending else own


def _shown(approvals: Approvals, own: bytes) -> bytes:
    """Return the bundle a person has seen: one may arrive between a review and the approval.

    Raises:
        UsageError: others wait for a decision, or it is no longer here.
    """
    if seen := approvals.reviewed():
        return _asked(approvals, seen, own)
    if waiting := approvals.pending():
        raise UsageError(f"bundle {', '.join(waiting)}: review it first (`willis site review HASH`)")
    return own


def _from_file(approvals: Approvals, path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    _read(content)
    approvals.keep(content)
    return content


def _report(approvals: Approvals, content: bytes, own: bytes, stat: bool) -> Iterator[str]:
    files = _read(content).files
    hash_ = hashlib.sha256(content).hexdigest()
    yield f"bundle {hash_}"
    yield f"It {_likeness(content, own)}."
    yield f"It is {'approved' if approvals.is_approved(hash_) else 'not approved'} here."
    last = approvals.last_approved()
    if last is None and content == own:
        yield f"No bundle is approved here. Its {len(files)} files:"
        yield from (f"  {path} ({len(files[path])} bytes)" for path in sorted(files))
        return
    before = own if last is None else approvals.read(last)
    other = f"the installed release {release()}" if last is None else f"the bundle approved last, {last}"
    changed = changes(_read(before).files, files)
    if not changed:
        yield f"Every file is as in {other}."
        return
    yield f"Since {other}:"
    for change in changed:
        more, less = change.lines
        yield f"  {change.kind:7} {change.path} (+{more} -{less})"
    if not stat:
        for change in changed:
            yield from ("", *change.diff)


def _read(content: bytes) -> Contents:
    """Read a bundle; what is wrong with it is said with its hash, for it to be declined by."""
    try:
        return read_bundle(content)
    except UsageError as err:
        raise UsageError(f"bundle {hashlib.sha256(content).hexdigest()}: {err}") from err


def _likeness(content: bytes, own: bytes) -> str:
    return f"is {'identical to' if content == own else 'not'} the installed release {release()}"


def _installed() -> bytes:
    """Return the bundle of the Willis installed here."""
    with tempfile.TemporaryDirectory() as folder:
        return build_bundle(Path(folder)).path.read_bytes()
