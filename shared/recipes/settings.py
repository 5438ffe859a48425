"""What of a recipe may be chosen for a run: public knowledge, checked, and in the ledger.

A recipe's own levers are fields of a subclass of `Schedule`. A person changes one with `--set name=value`; the
plan keeps what was changed, so that hospitals build the same recipe and readers see what was asked for.

>>> Schedule(rounds=30, steps=10, sampling_rate=0.25, clip_norm=1.0, records=8).changed({"steps": "20"}).steps
20
"""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import UsageError

Setting = bool | int | float | str


class Schedule(BaseModel):
    """How a site phase spends its budget."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rounds: int = Field(ge=1)  # default number of rounds; a run may choose another
    steps: int = Field(ge=1, le=10**6)  # private steps a round; more could not be priced
    sampling_rate: float = Field(ge=1e-5, le=1)  # chance q of each patient to take part in a step
    clip_norm: float = Field(gt=0)  # C, the most one patient moves a sum
    # K, records of a drawn patient that its gradient averages over; if the unit is the patch, how many patches
    # a patient nominally gives
    records: int = Field(ge=1, le=10**4)
    mixed_precision: bool = False  # 16-bit convolutions and products; weights, sums and noise stay as they are

    def changed(self, settings: Mapping[str, Setting]) -> Self:
        """Return the schedule with these settings in place of the defaults; text is read as a value.

        Raises:
            UsageError: a setting is unknown or out of range, with those there are.
        """
        if "rounds" in settings:
            raise UsageError("rounds is no setting of the recipe but of the run: use --rounds")
        try:
            return self.model_validate({**self.model_dump(), **settings})
        except ValidationError as err:
            first = err.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            there = ", ".join(f"{k}={v}" for k, v in self.model_dump().items() if k != "rounds")
            given = f" = {settings[name]}" if name in settings else ""
            raise UsageError(f"setting {name}{given}: {first['msg']}; there are: {there}") from err

    def only(self, names: Mapping[str, Setting]) -> dict[str, Setting]:
        """Return the values of these settings, as the plan keeps them."""
        return {name: getattr(self, name) for name in sorted(names)}


class ReleaseSchedule(Schedule):
    """How a release spends its budget: all records of a drawn patient go into its one vector, in 32 bits."""

    records: Literal[1] = 1
    mixed_precision: Literal[False] = False


def parse(given: tuple[str, ...]) -> dict[str, Setting]:
    """Return name and text of each `name=value`.

    Raises:
        UsageError: no `=` in it, or a name given twice.

    >>> parse(("steps=20",))
    {'steps': '20'}
    """
    settings: dict[str, Setting] = {}
    for one in given:
        name, found, value = one.partition("=")
        if not found or not name or name in settings:
            raise UsageError(f"--set {one}: expected name=value, each name once, such as --set steps=20")
        settings[name] = value
    return settings
