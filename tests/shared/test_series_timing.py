"""Times of a series: from whom they are taken, and when nobody is believed."""

import json
from pathlib import Path

import pytest

from shared.errors import CohortError
from shared.imaging.scan import Timing
from shared.imaging.series import timing_of

SIDECAR = {"RepetitionTime": 1.5, "EchoTime": 0.03}


def beside(folder: Path, fields: object) -> Path:
    """Write a sidecar; return the image it would be of."""
    (folder / "x.json").write_text(json.dumps(fields))
    return folder / "x.nii.gz"


def test_what_is_given_wins_over_the_sidecar_and_that_over_the_header(tmp_path: Path) -> None:
    image = beside(tmp_path, SIDECAR)
    assert timing_of(image, 0.0) == (Timing(1.5, 0.03), [])
    assert timing_of(image, 1.501) == (Timing(1.5, 0.03), [])
    timing, notes = timing_of(image, 1500.0)
    assert timing == Timing(1.5, 0.03)
    assert notes == ["the header says 1500 s between frames; 1.5 s is used"]
    timing, notes = timing_of(image, 0.0, repetition_s=2.0, echo_s=0.03)
    assert timing == Timing(2.0, 0.03)
    assert notes == ["RepetitionTime 2 s was given; 1.5 of x.json is not used"]


def test_the_header_s_time_is_used_where_nobody_says_otherwise(tmp_path: Path) -> None:
    assert timing_of(beside(tmp_path, {"EchoTime": 0.03}), 1.8)[0] == Timing(1.8, 0.03)
    assert timing_of(tmp_path / "alone.nii", 1.8, echo_s=0.02)[0] == Timing(1.8, 0.02)


@pytest.mark.parametrize(
    ("fields", "header_s", "why"),
    [
        ({"EchoTime": 0.03}, 0.0, "RepetitionTime is not known; write it, in seconds, into x.json"),
        ({"EchoTime": 0.03}, 1500.0, "the header says 1500 s between frames, which looks like milliseconds"),
        ({"EchoTime": 0.03}, 1e7, "the header says 1e\\+07 s between frames; write it"),
        ({"RepetitionTime": 1.5}, 1.5, "EchoTime is not known"),
        ({"RepetitionTime": 1500, "EchoTime": 0.03}, 1.5, "RepetitionTime is 1500, .*looks like milliseconds"),
        ({"RepetitionTime": 1.5, "EchoTime": 30}, 1.5, "EchoTime is 30, .*looks like milliseconds"),
        ({"RepetitionTime": "1.5", "EchoTime": 0.03}, 1.5, "RepetitionTime is '1.5', not a positive number"),
        ({"RepetitionTime": True, "EchoTime": 0.03}, 1.5, "RepetitionTime is True, not a positive number"),
        ({"RepetitionTime": 1.5, "EchoTime": -0.03}, 1.5, "EchoTime is -0.03, not a positive number"),
        ([1.5, 0.03], 1.5, "not a JSON object"),
    ],
)
def test_times_that_cannot_be_used_are_refused(tmp_path: Path, fields: object, header_s: float, why: str) -> None:
    with pytest.raises(CohortError, match=why):
        timing_of(beside(tmp_path, fields), header_s)
