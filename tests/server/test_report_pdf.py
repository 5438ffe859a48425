"""report.pdf is the report on paper: the same every time, complete by itself, and checked by an audit."""

import re
import shutil
import sys
import zlib
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from server.audit.command import audit
from server.report.build import build_report, report_bytes, write_report
from server.report.pdf import PDF, layout_id, render_pdf
from shared.errors import UsageError
from tests.server.ledgers import NON_PRIVATE_PAST, PRIVATE_PAST, RUN_ID, Story, signed_all
from tests.server.test_publication import released

CHECK = "report.pdf is printed from report.json"


def _can_print() -> bool:
    try:
        return bool(layout_id())
    except UsageError:
        return False


needs_weasyprint = pytest.mark.skipif(not _can_print(), reason="WeasyPrint or Pango is missing")


@cache
def report() -> bytes:
    story = Story(past={"north": (PRIVATE_PAST, NON_PRIVATE_PAST)})
    return report_bytes(build_report(signed_all(story.events()), RUN_ID))


@cache
def printed() -> bytes:
    return render_pdf(report())


def unpacked(pdf: bytes) -> list[bytes]:
    """Return the content of every compressed stream."""
    found = []
    for start in re.finditer(rb"stream\r?\n", pdf):
        try:
            found.append(zlib.decompressobj().decompress(pdf[start.end() :]))
        except zlib.error:
            continue
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    released(folder)
    return folder


@needs_weasyprint
def test_the_same_report_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    assert render_pdf(report()) == printed()


@needs_weasyprint
def test_it_carries_the_report_and_all_its_letters_and_says_it_is_tagged() -> None:
    streams = unpacked(printed())
    assert report() in streams
    fonts = {name for stream in streams for name in re.findall(rb"/BaseFont /\w+\+([\w-]+)", stream)}
    assert {b"Report-Sans", b"Report-Sans-Bold", b"Report-Mono"} <= fonts
    assert all(name.startswith(b"Report-") for name in fonts), "a font of this machine"
    assert any(b'pdfaid:part="3" pdfaid:conformance="A"' in stream for stream in streams)
    assert any(b"/MarkInfo" in stream and b"/StructTreeRoot" in stream for stream in streams)


@needs_weasyprint
def test_an_audit_prints_again_and_compares(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    made = CliRunner().invoke(audit, ["pdf", str(copy)])
    assert made.exit_code == 0, made.output
    pdf = copy / "report" / PDF
    assert f"✓ {CHECK}: every byte" in CliRunner().invoke(audit, ["verify", str(copy)]).output
    pdf.write_bytes(pdf.read_bytes().replace(b"stream", b"Stream", 1))
    assert f"✗ {CHECK}" in CliRunner().invoke(audit, ["verify", str(copy)]).output
    pdf.write_bytes(pdf.read_bytes().replace(layout_id().encode(), b"0" * 64))
    assert f"– {CHECK}: other versions" in CliRunner().invoke(audit, ["verify", str(copy)]).output
    write_report(copy)
    assert not pdf.exists(), "it showed an earlier report"
    assert CHECK not in CliRunner().invoke(audit, ["verify", str(copy)]).output


def test_without_weasyprint_it_says_what_to_install(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)  # as if it were not installed
    result = CliRunner().invoke(audit, ["pdf", str(run)])
    assert isinstance(result.exception, UsageError)
    assert "pip install 'willis[pdf]'" in str(result.exception)
    assert "libpango" in str(result.exception)


def test_without_a_report_it_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(audit, ["pdf", str(tmp_path)])
    assert "no such report" in str(result.exception)
