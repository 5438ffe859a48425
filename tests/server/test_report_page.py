"""The page shows the report and nothing else, with a hundred sites too, and the same again every time."""

import json
import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.report_render import ledger
from server.report.build import Report, build_report, report_bytes
from server.report.grid import participation_chart
from server.report.layers import LAYERS
from server.report.page import render_page
from server.report.participation import _ranges, participation
from server.report.svg import counting
from shared.ledger.events import Incident, Refuse
from shared.ledger.view import view
from shared.privacy.agreement import second_opinions
from shared.privacy.events import NonPrivate, Spending
from tests.server.ledgers import NON_PRIVATE_PAST, PRIVATE_PAST, RUN_ID, Story, signed_all

WITH_PAST = Story(past={"north": (PRIVATE_PAST, NON_PRIVATE_PAST)})


@cache
def report() -> Report:
    return build_report(signed_all(WITH_PAST.events()), RUN_ID, second_opinions)


def of(story: Story) -> Report:
    return build_report(signed_all(story.events()), RUN_ID)


def test_the_same_ledger_gives_the_same_bytes() -> None:
    again = build_report(signed_all(WITH_PAST.events()), RUN_ID, second_opinions)
    assert report_bytes(again) == report_bytes(report())
    assert render_page(again) == render_page(report())
    assert render_page(json.loads(report_bytes(report()))) == render_page(report())


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = render_page(report())
    assert "<script" not in page
    assert not any(word in page for word in ("src=", "href=", "@import", "url("))


def test_there_is_a_table_under_every_chart() -> None:
    page = render_page(report())
    assert page.count("<svg") == 5
    for figure in page.split("<figure>")[1:]:
        assert "<table" in figure.partition("<figure>")[0].partition("</figure>")[2]


def test_every_layer_has_its_section_and_says_what_it_does_not_cover() -> None:
    page = render_page(report())
    for layer in LAYERS:
        section = page.partition(f'<section id="{layer.name}">')[2].partition("</section>")[0]
        assert layer.title in section
        assert layer.not_covered
        assert section.count("<h3>Not covered</h3>") == 1


def test_names_are_escaped_on_the_page() -> None:
    page = render_page(of(Story(sites=("<b>north</b>",), settled=("<b>north</b>",))))
    assert "<b>north" not in page
    assert "&lt;b&gt;north" in page


@pytest.mark.parametrize(
    "story",
    [
        Story(plan=Spending.of(NonPrivate(steps=4))),
        Story(sites=(), settled=(), rounds_done=0),
        Story(rounds_done=0, settled=()),
        Story(settled=()),
    ],
)
def test_runs_without_figures_still_have_a_page(story: Story) -> None:
    assert "<h1>Privacy budget" in render_page(of(story))


def test_incidents_and_refusals_are_listed_in_order() -> None:
    said = Incident(run=RUN_ID, text="west refused to cosign checkpoint 12")
    late = [
        Refuse(run=RUN_ID, site="south", by="coordinator", round=n, code="protocol", reason="no answer")
        for n in (1, 2, 4)
    ]
    made = build_report(signed_all([*Story().events(), *late, said]), RUN_ID)
    rows = made["incidents"]
    assert isinstance(rows, list)
    assert [row["kind"] for row in rows if isinstance(row, dict)] == ["refusal", "incident"]
    page = render_page(made)
    assert "1–2, 4" in page
    assert "west refused to cosign checkpoint 12" in page
    assert "INCIDENTS: 1 on record" in page


def test_a_round_missed_is_refused_or_absent() -> None:
    story = Story()
    events = [
        e.model_copy(update={"sites": ("north", "south")}) if e.type == "round" and e.round in (2, 3) else e
        for e in story.events()
    ]
    refusal = Refuse(run=RUN_ID, site="west", by="coordinator", round=3, code="protocol", reason="NaN")
    rows = participation(view(signed_all([*events, refusal]), RUN_ID))
    west = next(row for row in rows if isinstance(row, dict) and row["site"] == "west")
    assert isinstance(west, dict)
    assert (west["averaged"], west["absent"], west["refused"]) == (2, 1, 1)
    assert west["missed"] == [[2, 2, "absent"], [3, 3, "refused"]]


@given(st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)))
def test_ranges_hold_exactly_the_rounds_missed(absent: set[int], refused: set[int]) -> None:
    missed = [(n, "refused" if n in refused else "absent") for n in sorted(absent | refused)]
    said = [(n, why) for first, last, why in _triples(_ranges(missed)) for n in range(first, last + 1)]
    assert said == missed


def _triples(ranges: object) -> list[tuple[int, int, str]]:
    assert isinstance(ranges, list)
    return [(first, last, why) for first, last, why in ranges]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 2000), st.data())
def test_no_missed_round_disappears_from_the_grid(rounds: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(1, rounds))
    row = {"site": "north", "missed": [[number, number, "refused"]]}
    assert participation_chart([row], rounds).count('fill="#a61b1b"') == 2  # the legend's and the round's


@given(st.floats(1e-3, 1e6))
def test_an_axis_reaches_its_greatest_value(top: float) -> None:
    assert 0 < counting("ε", top).share(top) <= 1 + 1e-9


def test_a_hundred_sites_and_five_hundred_rounds_make_a_light_page() -> None:
    events, run = ledger(100, 500)
    plain = Spending.of(*(m.model_copy(update={"sampling_rate": 1.0}) for m in Story().plan.mechanisms))
    cheap = [
        e.model_copy(update={"event": e.event.model_copy(update={"spending": plain})})
        if e.event.type in ("run", "reserve", "settle")
        else e
        for e in events
    ]
    page = render_page(build_report(cheap, run))
    assert len(page.encode()) < 300_000
    assert len(re.findall("<svg", page)) >= 4
