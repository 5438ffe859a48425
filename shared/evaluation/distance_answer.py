"""What the two queries `query-distance` about a data set say together, as it is kept and read."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from shared.errors import UsageError
from shared.evaluation.copying import CONFIDENCE, POWER, Finding, Histogram, find_copies

QUERY = "query-distance"  # the recipe that asks


class Group(BaseModel):
    """One query: who was asked, what came back, and what it cost each of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str  # of the query
    sites: tuple[str, ...]
    histogram: Histogram
    cost: str  # of this query alone, if planned
    if_planned: str  # with everything before on the same patients, if all was fixed before any result was seen
    guaranteed: str  # the same, whatever was chosen on the way
    noise_source: str


class DistanceAnswer(BaseModel):
    """Whether a data set holds copies of patients, as far as the noise lets anybody see.

    Attributes:
        manifest: SHA-256 of the data set's SHA256SUMS; "" where it had none.
        runs: that the data set was drawn from.
        edges: of the bins, ascending; public.
        is_simulation: the noise was seeded, so it protects nobody.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifest: str
    runs: tuple[str, ...]
    edges: tuple[float, ...]
    trained: Group
    held_out: Group
    finding: Finding
    is_simulation: bool

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the answer in a file.

        Raises:
            UsageError: there is none, or it is damaged.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as err:
            raise UsageError(
                f"{path}: no answer of `willis query distance`; compare the two queries again"
            ) from err

    def judged_again(self, *, simulated: bool) -> Self:
        """Return the answer with the finding that follows from its figures, whatever the file says of it.

        `simulated` is what the ledger says of the query's noise.

        Raises:
            UsageError: the figures belong to no such query.
        """
        try:
            finding = find_copies(self.trained.histogram, self.held_out.histogram, self.edges)
        except ValueError as err:
            raise UsageError("an answer whose bins do not fit; compare the two queries again") from err
        return self.model_copy(update={"finding": finding, "is_simulation": self.is_simulation or simulated})

    @property
    def passed(self) -> bool:
        """Whether copies of more than the tolerated share of patients are ruled out."""
        return self.finding.verdict == "passed"

    @property
    def words(self) -> str:
        """The verdict with its figures, in one sentence or two."""
        found = self.finding
        widest = max(found.excesses, key=lambda one: one.high)
        strongest = max(found.excesses, key=lambda one: one.low)
        sizes = [group.histogram.patients for group in (self.trained, self.held_out)]
        asked = f"{sizes[0]} patients trained on and {sizes[1]} held out"
        simulated = "SIMULATION (seeded noise): " if self.is_simulation else ""
        if found.verdict == "failed":
            said = (
                f"failed: about {strongest.copied:.0%} of the patients trained on ({strongest.low:.0%} to "
                f"{strongest.high:.0%}) are nearer to the data set than {strongest.nearer_than:.2g} beyond what is"
                " found in patients nobody trained on"
            )
        elif found.verdict == "passed":
            said = f"passed: copies of {found.tolerated:.0%} or more of the patients trained on are ruled out"
        elif any(one.held_out_nearer for one in found.excesses):
            said = (
                "cannot tell: patients nobody trained on are nearer to the data set than those trained on, so the "
                "two groups are not alike"
            )
        else:
            said = f"cannot tell: up to {widest.high:.0%} of the patients trained on may be copied"
        return f"{simulated}{said} ({CONFIDENCE:.0%} confidence; {asked}; {self.sensitivity})"

    @property
    def sensitivity(self) -> str:
        """What could have been seen at all."""
        least = self.finding.detectable
        if least is None:
            return f"not even copies of all of them would have been found in {POWER:.0%} of such queries"
        return f"copies of {least:.0%} or more of them are found in {POWER:.0%} of such queries"
