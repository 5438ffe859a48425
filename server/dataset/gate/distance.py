"""What a query answered on how near synthetic cases lie to patients' images: recorded by the gate, never computed.

Only hospitals can answer it, on patients, through the mechanism: it costs budget, is in the ledger as a run of its
own, and is asked where a federation wants it (`Demands`).
"""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import UsageError
from shared.evaluation.distance_answer import DistanceAnswer
from shared.ledger.events import Check

DISTANCE = "distance to patients"
DEMANDS_FILE = "release.toml"  # in the federation's folder, beside key and ledger


class Demands(BaseModel):
    """What a federation demands of every data set beyond the rules; `release.toml` in its folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    distance: bool = False  # that the distance query was asked, and passed

    @classmethod
    def at(cls, home: Path) -> "Demands":
        """Return the demands of the federation in `home`; none where there is no file.

        Raises:
            UsageError: the file is damaged, or names what does not exist.
        """
        path = home / DEMANDS_FILE
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, ValidationError) as err:
            raise UsageError(f"{path}: not a federation's demands; it may hold `distance = true`") from err


def check_distance(answer: DistanceAnswer | None, demands: Demands) -> Check:
    """Return the answer as a check.

    Copies that were found shut the gate. Where patients or budget were too few for the noise to let anything be
    seen, and where nobody asked, it stays open unless the federation demands that copies be ruled out.
    """
    if answer is None:
        passed, words = not demands.distance, "not asked, and this federation does not demand it"
        if demands.distance:
            words = "not asked, and this federation demands it: ask the hospitals, then release with their answer"
    else:
        passed = answer.passed or (answer.finding.verdict == "cannot tell" and not demands.distance)
        words = f"{answer.words}; queries {answer.trained.run[:12]} and {answer.held_out.run[:12]}"
    return Check(name=DISTANCE, passed=passed, words=words)
