import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.site.contents import MOST_BYTES, MOST_FILES, read_bundle
from shared.errors import UsageError
from tests.deploy.small_app import PROJECT

FILES = {"pyproject.toml": PROJECT, "client/app.py": "app = 1\n", ".info/CONTENT": ""}


def packed(*entries: tuple[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (*FILES.items(), *entries):
            archive.writestr(name, text)
    return buffer.getvalue()


def test_a_bundle_is_read_as_it_is() -> None:
    contents = read_bundle(packed())
    assert {name: data.decode() for name, data in contents.files.items()} == FILES
    assert (contents.app_id, contents.version) == ("willis/willis", "0.1.0")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "name",
    [
        "../outside.py",
        "/etc/cron.d/x.py",
        "client/../client/app.py",
        "client/./app.py",
        "client//other.py",
        "client\\other.py",
        "client/app.py",  # a second time: what is shown and what runs could differ
        "torch/__init__.py",
        "sitecustomize.py",
        "client/app.cpython-311-x86_64-linux-gnu.so",
        "client/__pycache__/app.cpython-311.pyc",
        "client/a\u202egnp.py",
        "client/a\x1b[2J.py",
        "client/",
    ],
)
def test_what_could_run_unseen_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="which no bundle of Willis does"):
        read_bundle(packed((name, "")))


def test_a_zip_bomb_is_read_no_further_than_the_limit() -> None:
    bomb = packed(*((f"client/{i}.py", "0" * 2**20) for i in range(12)))
    assert len(bomb) < MOST_BYTES / 100
    with pytest.raises(UsageError, match=f"unpacks to more than {MOST_BYTES} bytes"):
        read_bundle(bomb)
    with pytest.raises(UsageError, match=f"more than {MOST_FILES} files"):
        read_bundle(packed(*((f"client/{i}.py", "") for i in range(MOST_FILES))))
    with pytest.raises(UsageError, match=f"at most {MOST_BYTES} are read"):
        read_bundle(bytes(MOST_BYTES + 1))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('clientapp = "client.app:app"', 'clientapp = "client.other:app"'),
        ('clientapp = "client.app:app"', 'clientapp = "client.app:app"\nagentapp = "client.app:app"'),
        ('publisher = "willis"', ""),
        ("[project]", "[project"),
        ("[project]", "x = " + "[" * 5000),
    ],
)
def test_a_bundle_that_starts_anything_else_is_refused(
    before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FILES, "pyproject.toml", PROJECT.replace(before, after))
    with pytest.raises(UsageError, match="do not approve it"):
        read_bundle(packed())


def test_the_words_of_a_coordinator_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "a" * 5000
    with pytest.raises(UsageError, match="which no bundle of Willis does") as named:
        read_bundle(packed((f"client/{long}.so", "")))
    monkeypatch.setitem(FILES, "pyproject.toml", PROJECT.replace("client.app:app", long))
    with pytest.raises(UsageError, match="the bundle starts") as started:
        read_bundle(packed())
    assert max(len(str(err.value)) for err in (named, started)) < 400


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=200, deadline=None)
@given(st.integers(0, 2**16), st.binary(min_size=1, max_size=8))
def test_whatever_is_spoilt_is_read_or_refused(at: int, by: bytes) -> None:
    whole = packed()
    at %= len(whole)
    spoilt = whole[:at] + by + whole[at + len(by) :]
    try:
        contents = read_bundle(spoilt)
    except UsageError:
        return  # any other error fails the test: it would end the guard
    assert (contents.app_id.count("/"), sum(map(len, contents.files.values())) <= MOST_BYTES) == (1, True)


def test_reading_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read_bundle(packed())
    assert list(tmp_path.iterdir()) == []
