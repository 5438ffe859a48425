"""report.json keeps to its published form, and the published form is the one the code has."""

import json
from pathlib import Path

import jsonschema
import pytest

from server.report.build import build_report, report_bytes
from server.report.schema import published, report_schema
from shared.canonical import Json
from shared.ledger.events import Incident, Refuse, Release
from shared.privacy.agreement import second_opinions
from shared.privacy.events import NonPrivate, Spending
from tests.server.ledgers import (
    NON_PRIVATE_PAST,
    PRIVATE_PAST,
    RUN_ID,
    Story,
    approval,
    gate,
    signed_all,
    steward,
)

RELEASE = Release(run=RUN_ID, kind="release", cases=5, manifest="a" * 64)
APPROVED = (steward("ada"), gate("a" * 64), approval("a" * 64, "ada"))
REFUSAL = Refuse(run=RUN_ID, site="south", by="coordinator", round=2, code="protocol", reason="no answer")
INCIDENT = Incident(run=RUN_ID, text="a witness refused")


def problems(report: Json) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(report_schema()).iter_errors(report)]


def test_the_published_schema_is_the_one_the_code_has() -> None:
    path = Path(__file__).parents[2] / "docs" / "report.schema.json"
    assert path.read_text(encoding="utf-8") == published(), "python -m server.report.schema writes it"
    jsonschema.Draft202012Validator.check_schema(report_schema())


@pytest.mark.parametrize(
    "story",
    [
        Story(past={"north": (PRIVATE_PAST, NON_PRIVATE_PAST)}),
        Story(plan=Spending.of(NonPrivate(steps=4))),
        Story(sites=(), settled=(), rounds_done=0),
        Story(settled=("north",)),
    ],
)
def test_reports_of_every_kind_keep_to_the_schema(story: Story) -> None:
    events = signed_all([*story.events(), REFUSAL, INCIDENT, *APPROVED, RELEASE])
    for second in (None, second_opinions):
        assert problems(json.loads(report_bytes(build_report(events, RUN_ID, second)))) == []


def test_the_schema_refuses_what_is_missing_extra_or_of_another_kind() -> None:
    made = json.loads(report_bytes(build_report(signed_all(Story().events()), RUN_ID)))
    group = made["groups"][0]
    wrong = [
        {key: value for key, value in made.items() if key != "statement"},
        made | {"more": 1},
        made | {"groups": [group | {"sites": "north"}]},
        made | {"groups": [group | {"cap": {k: v for k, v in group["cap"].items() if k != "unit"}}]},
    ]
    assert [len(problems(one)) for one in wrong] == [1, 1, 1, 1]
