"""A comparison says which of two reports guarantees a patient more, and never where that has no meaning."""

import copy
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from server.audit.command import audit
from server.audit.comparison import compare_reports
from server.audit.sources import Lineage, Relation, lineage
from server.ledger.export import export_ledger
from server.report.build import FORMAT, build_report, write_report
from shared.canonical import canonical, digest
from shared.ledger.events import Event, Incident, Past, Release
from shared.ledger.log import SignedEvent
from shared.privacy.events import NoiseSource
from tests.server.ledgers import (
    COORDINATOR,
    NON_PRIVATE_PAST,
    RUN_ID,
    Story,
    cap_of,
    gaussian,
    signed_all,
    store_at,
)

Report = dict[str, Any]
ALONE = Lineage(Relation.UNKNOWN, 0)
LATER = Story(
    run_id=digest(b"a later run"),
    cap=cap_of(20.0),
    past=dict.fromkeys(
        Story().sites, (Past(run=RUN_ID, recipe="vessels-2d", variant="wgan", spending=gaussian(4)),)
    ),
)


@cache
def _made(story_of: Callable[[], Story]) -> bytes:
    story = story_of()
    return canonical(build_report(signed_all(story.events()), story.run_id))


def made(story_of: Callable[[], Story] = Story) -> Report:
    """Return the report of a story, a new copy each time."""
    report: Report = json.loads(_made(story_of))
    return report


def without_noise() -> Story:
    return Story(past={"north": (NON_PRIVATE_PAST,)})


def seeded() -> Story:
    return Story(noise_source=NoiseSource.SEEDED)


def shorter() -> Story:
    return Story(plan=gaussian(2), rounds_done=2)


def verdicts(first: Report, second: Report) -> dict[str, tuple[str | None, str]]:
    found = compare_reports(first, second, ALONE)
    return {row["site"]: (row["stronger"], row["words"]) for row in found["sites"]}


def test_a_report_is_the_same_as_itself() -> None:
    found = compare_reports(made(), made(), ALONE)
    assert found["same"]
    assert found["facts"] == {}
    assert all(row["words"].startswith("the same guarantee in both: ε = ") for row in found["sites"])


def test_the_smaller_epsilon_is_the_stronger_guarantee_whichever_comes_first() -> None:
    assert {name for name, _ in verdicts(made(), made(shorter)).values()} == {"B"}
    found = verdicts(made(shorter), made())
    assert {name for name, _ in found.values()} == {"A"}
    for _, words in found.values():
        assert words.count("unit: patient; add/remove; PLD, dp-accounting") == 2


def test_what_prints_alike_is_alike() -> None:
    other = made()
    for group in other["groups"]:
        group["guaranteed"]["cost"]["epsilon"] += 1e-5
    found = compare_reports(made(), other, ALONE)
    assert not found["same"]
    assert {row["stronger"] for row in found["sites"]} == {None}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("delta", 1e-6, "δ 1e-05 and 1e-06"),
        ("unit", "patch", "unit patient and patch"),
        ("relation", "replace", "relation add/remove and replace"),
    ],
)
def test_figures_that_mean_different_things_are_not_compared(field: str, value: object, words: str) -> None:
    other = made(shorter)
    for group in other["groups"]:
        group["guaranteed"]["cost"][field] = value
    for stronger, said in verdicts(made(), other).values():
        assert stronger is None
        assert said == f"cannot be compared: they differ in what an ε means ({words})"


def test_noise_from_a_seed_guarantees_nothing() -> None:
    assert {name for name, _ in verdicts(made(), made(seeded)).values()} == {"A"}
    assert {name for name, _ in verdicts(made(seeded), made(seeded)).values()} == {None}
    assert "seeds" in verdicts(made(seeded), made(seeded))["north"][1]


def test_an_unbounded_guarantee_is_weaker_than_any_other() -> None:
    found = verdicts(made(without_noise), made())
    assert found["north"][0] == "B"
    assert "B alone guarantees" in found["north"][1]
    assert found["south"][0] is None
    assert "neither guarantees" in verdicts(made(without_noise), made(without_noise))["north"][1]


def test_a_site_of_one_report_only_is_listed_and_not_compared() -> None:
    fewer = compare_reports(made(), made(lambda: Story(sites=("north",), settled=("north",))), ALONE)
    rows = {row["site"]: row for row in fewer["sites"]}
    assert rows["south"]["words"] == "cannot be compared: nothing was set aside in B"
    assert rows["south"]["patients"] == [40, None]


def test_a_patient_at_other_numbers_of_sites_is_not_compared() -> None:
    joint = compare_reports(made(), made(lambda: Story(overlap=2)), ALONE)["joint"]
    assert joint["stronger"] is None
    assert joint["words"] == "cannot be compared: a patient at 1 of the sites in A, at 2 in B"


def test_what_was_added_is_named() -> None:
    second = made()
    second["releases"].append({"kind": "release", "cases": 7, "manifest": "9" * 64})
    second["incidents"].append({"entry": 99, "kind": "incident", "what": "a bug", "rounds": []})
    second["participation"][0] |= {"patients": 41, "cohort": "8" * 64}
    second["groups"][0]["cap"]["epsilon"] = 12.0
    found = compare_reports(made(), second, ALONE)
    assert found["releases"] == [[], [second["releases"][-1]]]
    assert found["incidents"] == [[], [second["incidents"][-1]]]
    assert found["sites"][0]["patients"] == [40, 41]
    assert [cap["epsilon"] for cap in found["sites"][0]["cap"]] == [10.0, 12.0]
    assert not found["same"]


# Ledgers -------------------------------------------------------------------------------------------------


def test_ledgers_are_the_same_continued_or_forked() -> None:
    whole = signed_all(Story().events())
    other = [*whole[:-1], *signed_all([Incident(run=RUN_ID, text="another past")])]
    assert lineage(whole, whole) == Lineage(Relation.SAME, len(whole))
    assert lineage(whole[:5], whole) == Lineage(Relation.CONTINUED, 5)
    assert lineage(whole, whole[:5]) == Lineage(Relation.EARLIER, 5)
    assert lineage(whole, other) == Lineage(Relation.FORKED, len(whole) - 1)
    assert lineage(whole, None) == ALONE


def test_another_beginning_by_the_same_key_is_a_fork_and_by_another_key_is_not() -> None:
    whole = signed_all(Story().events())
    again = signed_all(Story(overlap=2).events())
    assert lineage(whole, again) == Lineage(Relation.FORKED, 0)
    stranger = Story().federation().model_copy(update={"public_key": "7" * 64})
    assert lineage(whole, [SignedEvent.by(COORDINATOR, stranger)]) == Lineage(Relation.UNRELATED, 0)


# The command ---------------------------------------------------------------------------------------------


def folder_of(path: Path, events: list[Event]) -> Path:
    store = store_at(path, events)
    export_ledger(store, path / "ledger", COORDINATOR)
    store.close()
    (path / "plan.json").unlink()
    run = [event for event in events if event.type == "run"][-1]
    (path / "plan.json").write_bytes(canonical(run.model_dump(mode="json")))
    write_report(path)
    return path


def compared(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(audit, ["compare", *map(str, arguments)])


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("before"), Story().events())


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a later run of the same federation on the same patients."""
    later = [event for event in LATER.events() if event.type not in ("federation", "enrol")]
    events = [*Story().events(), Release(run=RUN_ID, kind="release", cases=3, manifest="5" * 64), *later]
    return folder_of(tmp_path_factory.mktemp("after"), events)


def test_the_exit_status_is_that_of_diff(before: Path, after: Path, tmp_path: Path) -> None:
    assert compared(before, before).exit_code == 0
    assert compared(before, after).exit_code == 1
    (tmp_path / "report.json").write_text("{}")
    wrong = compared(before, tmp_path / "report.json")
    assert wrong.exit_code == 2
    assert f"not a report of form {FORMAT}" in wrong.output
    assert compared(before, tmp_path).exit_code == 2  # no report in the folder


def test_a_later_run_is_told_in_eighty_columns(before: Path, after: Path) -> None:
    told = compared(before, after).output
    assert max(map(len, told.splitlines())) <= 80
    assert "B's ledger continues A's" in told
    assert "A guarantees a patient more" in " ".join(told.split())
    assert "north, south, west" in told, "sites with the same figures share one table"
    assert LATER.run_id[:12] in told
    assert "FORK" not in told


def test_a_fork_is_shown_loudly(before: Path, tmp_path: Path) -> None:
    other = folder_of(tmp_path, [*Story().events()[:-1], Incident(run=RUN_ID, text="another past")])
    told = compared(before, other)
    assert told.exit_code == 1
    assert "FORK" in told.output
    assert json.loads(compared(before, other, "--json").output)["ledgers"]["relation"] == "forked"


def test_files_are_compared_without_their_ledgers(before: Path, after: Path) -> None:
    files = [folder / "report" / "report.json" for folder in (before, after)]
    told = compared(*files)
    assert told.exit_code == 1
    assert "ledgers were not compared" in told.output
    assert json.loads(compared(*files, "--json").output)["ledgers"]["relation"] == "unknown"


def test_json_holds_every_site_with_both_figures(before: Path, after: Path) -> None:
    found = json.loads(compared(before, after, "--json").output)
    assert found["format"] == "willis-comparison/1"
    assert [row["site"] for row in found["sites"]] == list(Story().sites)
    for row in found["sites"]:
        assert row["runs_only"] == [[], [LATER.run_id]]
        assert all({"delta", "unit", "relation", "accountant"} <= claim.keys() for claim in row["guaranteed"])


def test_what_a_report_holds_is_not_read_as_markup(before: Path, tmp_path: Path) -> None:
    report = json.loads((before / "report" / "report.json").read_bytes())
    changed = copy.deepcopy(report)
    changed["incidents"].append({"entry": 9, "kind": "incident", "what": "[red]gone[/red]", "rounds": []})
    (tmp_path / "b.json").write_bytes(canonical(changed))
    assert "[red]gone[/red]" in compared(before, tmp_path / "b.json").output
