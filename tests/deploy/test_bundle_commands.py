import io
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.bundle import build_bundle
from deploy.settings import write_settings
from deploy.site.approvals import Approvals
from deploy.site.bundles import approve, review, revoke
from deploy.site.differences import changes, plain
from deploy.site.home import SiteHome, SiteSettings
from deploy.site.watching import _network
from shared.errors import UsageError


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return build_bundle(tmp_path_factory.mktemp("bundle")).path.read_bytes()


@pytest.fixture
def home(tmp_path: Path, installed: bytes, monkeypatch: pytest.MonkeyPatch) -> SiteHome:
    monkeypatch.setattr("deploy.site.bundles._installed", lambda: installed)  # it takes a second to make
    return SiteHome(tmp_path / "site")


def changed(content: bytes, path: str, text: str | None) -> bytes:
    """Return the bundle with one file changed, added, or (None) left out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        files = {entry.filename: old.read(entry).decode() for entry in old.infolist()} | {path: text}
        for name, kept in files.items():
            if kept is not None:
                new.writestr(name, kept)
    return buffer.getvalue()


def call(command: object, home: SiteHome, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, obj=home, catch_exceptions=False)  # type: ignore[arg-type]


def test_a_hospital_approves_the_installed_release_before_any_run(home: SiteHome, installed: bytes) -> None:
    hash_ = sha256(installed).hexdigest()
    shown = call(review, home, "--stat").output
    assert f"bundle {hash_}" in shown
    assert "identical to the installed release" in shown
    assert "No bundle is approved here" in shown
    assert "client/app.py" in shown
    assert shown.endswith(f"\nwillis site approve {hash_}\n")
    assert "identical to" in call(approve, home, "--note", "read").output
    approvals = Approvals(home.bundles)
    assert approvals.is_approved(hash_)
    assert approvals.read(hash_) == installed
    assert approvals.decisions()[0].note == "read"


def test_the_hash_told_by_telephone_will_do(home: SiteHome, installed: bytes) -> None:
    hash_ = sha256(installed).hexdigest()
    call(approve, home, hash_[:8])
    assert Approvals(home.bundles).is_approved(hash_)
    with pytest.raises(UsageError, match="0 bundles known here"):
        call(approve, home, "f" * 64)


def test_what_changed_since_the_last_approved_one_is_shown_line_by_line(home: SiteHome, installed: bytes) -> None:
    approvals = Approvals(home.bundles)
    approvals.approve(installed, "")
    source = "def clip():\n    return 1\n"
    other = changed(changed(installed, "client/clip.py", source), "client/witness.py", None)
    approvals.keep(other)
    shown = call(review, home).output
    assert "is not the installed release" in shown
    assert "It is not approved here." in shown
    assert "added   client/clip.py (+2 -0)" in shown
    assert "removed client/witness.py" in shown
    assert "\n+def clip():\n+    return 1\n" in shown
    assert "+def clip" not in call(review, home, "--stat").output


def test_a_bundle_that_was_revoked_is_nothing_to_compare_with(home: SiteHome, installed: bytes) -> None:
    approvals = Approvals(home.bundles)
    approvals.approve(first := changed(installed, "client/first.py", "a\n"), "")
    approvals.approve(bad := changed(installed, "client/bad.py", "b\n"), "")
    approvals.revoke(sha256(bad).hexdigest(), "it leaks")
    approvals.keep(changed(bad, "client/new.py", "c\n"))
    shown = call(review, home).output
    assert f"Since the bundle approved last, {sha256(first).hexdigest()}:" in shown
    assert "added   client/bad.py (+1 -0)" in shown
    approvals.revoke(sha256(first).hexdigest(), "so does this")
    shown = call(review, home).output
    assert "Since the installed release" in shown
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("  added")] == [
        "client/bad.py",
        "client/new.py",
    ]


def test_a_file_sent_by_mail_is_reviewed_and_then_approved(
    home: SiteHome, installed: bytes, tmp_path: Path
) -> None:
    other = changed(installed, "client/app.py", "app = 1\n")
    file = tmp_path / "mailed.fab"
    file.write_bytes(other)
    call(review, home, str(file), "--stat")
    call(approve, home)  # the one that was shown
    assert Approvals(home.bundles).is_approved(sha256(other).hexdigest())
    assert not Approvals(home.bundles).is_approved(sha256(installed).hexdigest())


def test_a_person_names_one_of_several(home: SiteHome, installed: bytes) -> None:
    approvals = Approvals(home.bundles)
    hashes = [approvals.keep(changed(installed, "client/app.py", text)) for text in ("a\n", "b\n")]
    with pytest.raises(UsageError, match="2 bundles wait for a decision, name one"):
        call(review, home)
    with pytest.raises(UsageError, match=f"{hashes[0]}, {hashes[1]}: review it first"):
        call(approve, home)
    call(approve, home, hashes[1][:12])
    assert (approvals.is_approved(hashes[0]), approvals.is_approved(hashes[1])) == (False, True)
    call(revoke, home, hashes[0])
    call(revoke, home, hashes[1])
    assert approvals.pending() == []
    assert not approvals.is_approved(hashes[1])


def test_what_arrives_while_the_pager_is_open_is_not_approved(
    home: SiteHome, installed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    approvals = Approvals(home.bundles)
    other = changed(installed, "client/app.py", "a\n")
    monkeypatch.setattr("deploy.site.bundles.click.echo_via_pager", lambda _: approvals.keep(other))
    call(review, home)
    call(approve, home)
    assert approvals.approved() == [sha256(installed).hexdigest()]
    assert approvals.pending() == [sha256(other).hexdigest()]


def test_a_review_serves_one_decision(home: SiteHome, installed: bytes) -> None:
    """What was shown for one decision is not what a later `approve` means."""
    approvals = Approvals(home.bundles)
    first, second, third = (changed(installed, "client/app.py", text) for text in ("a\n", "b\n", "c\n"))
    for content, decide in ((first, (approve,)), (second, (revoke, sha256(second).hexdigest()))):
        approvals.keep(content)
        call(review, home, "--stat")
        call(decide[0], home, *decide[1:])
    hash_ = approvals.keep(third)
    with pytest.raises(UsageError, match=f"{hash_}: review it first"):
        call(approve, home)
    assert approvals.approved() == [sha256(first).hexdigest()]


def test_what_was_shown_and_is_no_longer_here_is_not_approved(
    home: SiteHome, installed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(review, home, "--stat")
    later = changed(installed, "client/app.py", "b\n")
    monkeypatch.setattr("deploy.site.bundles._installed", lambda: later)  # another release since
    with pytest.raises(UsageError, match="0 bundles known here"):
        call(approve, home)
    assert Approvals(home.bundles).approved() == []


def test_what_could_run_unseen_is_neither_shown_nor_approved(home: SiteHome, installed: bytes) -> None:
    hash_ = Approvals(home.bundles).keep(changed(installed, "torch/__init__.py", ""))
    for command in (review, approve):
        with pytest.raises(UsageError, match=f"bundle {hash_}: .* do not approve it"):
            call(command, home, hash_)
    assert not Approvals(home.bundles).is_approved(hash_)


def test_status_names_what_waits(home: SiteHome, installed: bytes) -> None:
    write_settings(home.settings_file, SiteSettings(name="hospital-a", cohort=Path("/data")))
    assert "to review" not in dict(_network(home))
    hash_ = Approvals(home.bundles).keep(installed)
    assert dict(_network(home))["to review"] == hash_[:12]


def test_nothing_in_a_difference_steers_the_terminal() -> None:
    after = "x = 1\n\x1b[1A\x1b[2K\u202ey\r#\u2028\n".encode() + b"\xff"
    (change,) = changes({"client/a.py": b"x = 1\n"}, {"client/a.py": after})
    assert not any(c in line for line in change.diff for c in "\x1b\u202e\r")
    assert "\\u{1b}[1A" in "".join(change.diff)
    assert plain("a\tb\u202ec") == "a\tb\\u{202e}c"
    assert change.lines == (2, 0)


def test_files_that_are_the_same_are_no_change() -> None:
    assert changes({"a.py": b"1"}, {"a.py": b"1"}) == []
    kinds = [(c.path, c.kind) for c in changes({"a.py": b"1", "b.py": b""}, {"a.py": b"2", "c.py": b"3"})]
    assert kinds == [("a.py", "changed"), ("b.py", "removed"), ("c.py", "added")]
