"""What every small file of a data set is made from, and the words that several of them share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from server.dataset.files.cases import Case
from server.dataset.files.claims import privacy_claims
from server.report.words import not_covered
from shared.canonical import Json
from shared.imaging.perfusion.maps import NAMES, UNITS
from shared.imaging.scan import Role
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.log import SignedEvent
from shared.ledger.release_rules import kind_of
from shared.ledger.view import RunView, lines_of, view

LICENCE = "CC-BY-4.0"
LICENCE_PAGE = "https://creativecommons.org/licenses/by/4.0/"
KEYWORDS = ("synthetic", "medical", "brain", "differential-privacy")

MEANING = {
    Role.ANGIO: "synthetic time-of-flight MR angiogram; intensity in arbitrary units",
    Role.VESSELS: "1 where the generator drew an artery, 0 elsewhere",
    Role.BRAIN: "1 inside the brain, 0 elsewhere",
    Role.LESION: "1 inside a stroke lesion, 0 elsewhere",
    Role.DWI: "synthetic diffusion-weighted image; 0 to 1, in units of its 99.5th percentile",
    Role.ANATOMY: "structures by FreeSurfer number, 0 outside the brain; of a public phantom, not of a patient",
    Role.DSC: "series of a contrast bolus, arbitrary units, timing beside it; of a public phantom, of no patient",
    **{
        role: f"{NAMES[role]}, {unit}; drawn by the generator, 0 outside the brain" for role, unit in UNITS.items()
    },
}
INTENDED = "developing, pre-training, teaching and testing methods for the labels in the data set"
FORBIDDEN = (
    "diagnosis or any decision about a person; estimates of how common a finding is; claims about groups of "
    "patients; attempts to find out who took part in the training"
)
LIMITS = (
    "Synthetic images miss what is rare and can show anatomy that does not exist. Noise added for privacy blurs "
    "what few patients have. The cases are as varied as the generator, not as the population."
)


@dataclass(frozen=True)
class Contents:
    """The log that a data set builds on, which of its runs it is of, and the cases."""

    events: Sequence[SignedEvent]  # as far as the log had come before the run's first release
    run: str
    cases: Sequence[Case]
    checkpoint: Checkpoint  # of exactly these events

    @cached_property
    def view(self) -> RunView:
        """The run as it stood then."""
        return view(self.events, self.run)

    @cached_property
    def lines(self) -> list[bytes]:
        """The log as bytes."""
        return lines_of(self.events)

    @cached_property
    def claims(self) -> dict[str, Json]:
        """What the data set claims of privacy (`server.dataset.files.claims`)."""
        return privacy_claims(self.view, self.checkpoint.head)

    @property
    def claim(self) -> str:
        """The claim in one sentence: ε with δ, unit, relation, accountant, and for whom and when it holds."""
        maximum = self.claims["maximum"]
        assert isinstance(maximum, dict)
        simulated = "" if self.is_release else "none, for this is a SIMULATION with seeded noise; with real noise "
        return (
            f"{simulated}guaranteed {maximum['text']}, for a patient at {self.claims['overlap']} of the sites, as "
            f"many as the federation allows; {self.claims['condition']}"
        )

    @cached_property
    def not_covered(self) -> list[Json]:
        """What the claim leaves out."""
        reserves = self.view.reserves.items()
        earlier = [
            (site, past.run) for site, r in reserves for past in r.past if not past.spending.protects_patients
        ]
        return not_covered(self.view, earlier)

    @property
    def title(self) -> str:
        """The data set's name; one of a simulation says so first."""
        kind = "" if self.is_release else "SIMULATION, not a release: "
        return f"{kind}Synthetic brain images, {self.view.run.recipe} (Willis run {self.run[:12]})"

    @property
    def is_release(self) -> bool:
        """Whether the noise protects patients, so that this is no simulation."""
        return kind_of(self.view) == "release"

    @property
    def roles(self) -> list[Role]:
        """What there is of some case, in order."""
        return sorted({role for case in self.cases for role in case.files})
