"""The folder of one run at its coordinator, and where the federation's key and ledger are.

`run.json` says what was asked, `plan.json` the plan that all sites reserved against, `members.json` which sites
these are; `ledger/` is an export of the federation's ledger as far as it had come, `checkpoints/` the model after
the last rounds. `status.json` tells how far the run is. A deployed run has `patience.json` and `approved.json`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from server.ledger.home import Home
from server.run.job import Job
from server.run.patience import Patience, deployed
from shared.canonical import canonical
from shared.errors import UsageError
from shared.files import write_durably
from shared.ledger.events import Enrol, Run
from shared.ledger.log import event_bytes

_MEMBERS = TypeAdapter(tuple[Enrol, ...])
_APPROVED = TypeAdapter(dict[str, str])


class _Place(BaseModel):
    """Kept apart from what is exported: a path means something on this machine only."""

    federation: Path


class RunFolder:
    """Where everything of a run lies."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def job_file(self) -> Path:
        """What was asked for."""
        return self.path / "run.json"

    @property
    def plan_file(self) -> Path:
        """The agreed plan: a run event as the ledger has it. Its presence says that sites may have reserved."""
        return self.path / "plan.json"

    @property
    def members_file(self) -> Path:
        """The enrolments that the plan was made for; the run's name is a digest of them too."""
        return self.path / "members.json"

    @property
    def patience_file(self) -> Path:
        """How long the coordinator waits, where an operator chose: a `Patience`, or some of its fields."""
        return self.path / "patience.json"

    @property
    def approved_file(self) -> Path:
        """The sites that were approved: name -> signing key (hexadecimal)."""
        return self.path / "approved.json"

    @property
    def has_begun(self) -> bool:
        """Whether a site may have been asked for an update."""
        return any(self.checkpoints.glob("round-*.safetensors"))

    @property
    def status_file(self) -> Path:
        """How far the run is (`server.run.status`)."""
        return self.path / "status.json"

    @property
    def lock_file(self) -> Path:
        """Held by the process that conducts the run."""
        return self.path / "run.lock"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def initial_file(self) -> Path:
        """Weights the run starts from, where the job names some (safetensors)."""
        return self.path / "initial.safetensors"

    @property
    def ledger(self) -> Path:
        """The folder of the exported ledger."""
        return self.path / "ledger"

    @property
    def home(self) -> Home:
        """The federation this run belongs to.

        Raises:
            UsageError: the file that names it is missing or damaged.
        """
        path = self.path / "federation.json"
        try:
            return Home(_Place.model_validate_json(path.read_bytes()).federation)
        except (OSError, ValueError) as err:
            raise UsageError(f"{path}: missing or damaged; restore it, it names the federation's folder") from err

    def job(self) -> Job:
        """Return what was asked for.

        Raises:
            UsageError: there is no run here, or its description is damaged.
        """
        try:
            return Job.model_validate_json(self.job_file.read_bytes())
        except FileNotFoundError as err:
            raise UsageError(f"{self.path}: no run here; `willis simulate` makes one") from err
        except ValueError as err:
            raise UsageError(f"{self.job_file}: damaged; restore it from a copy") from err

    def plan(self) -> Run:
        """Return the agreed plan.

        Raises:
            UsageError: the run has not come so far, or the file is damaged.
        """
        try:
            return Run.model_validate_json(self.plan_file.read_bytes())
        except FileNotFoundError as err:
            raise UsageError(f"{self.path}: no plan was agreed yet; continue the run with --resume first") from err
        except ValueError as err:
            raise UsageError(f"{self.plan_file}: damaged; restore it from a copy") from err

    def members(self) -> tuple[Enrol, ...]:
        """Return the enrolments that the plan was made for.

        Raises:
            UsageError: the file is missing or damaged.
        """
        try:
            return _MEMBERS.validate_json(self.members_file.read_bytes())
        except (OSError, ValueError) as err:
            raise UsageError(f"{self.members_file}: missing or damaged; restore it from a copy") from err

    def patience(self) -> Patience:
        """Return the patience of a deployed run: what `patience.json` says, and `deployed` for the rest.

        Raises:
            UsageError: the file is damaged, or names what does not exist.
        """
        try:
            chosen = json.loads(self.patience_file.read_bytes()) if self.patience_file.exists() else {}
            return Patience.model_validate(deployed(self.job().sites) | chosen)
        except (ValueError, TypeError) as err:
            raise UsageError(f"{self.patience_file}: not a run's patience; restore it, or delete it") from err

    def approved(self) -> Mapping[str, str]:
        """Return the approved sites and their keys.

        Raises:
            UsageError: the file is missing or damaged: without it anybody would be let in.
        """
        try:
            return _APPROVED.validate_json(self.approved_file.read_bytes())
        except (FileNotFoundError, ValueError) as err:
            state = "missing" if isinstance(err, FileNotFoundError) else "damaged"
            raise UsageError(f"{self.approved_file}: {state}; restore it, it names the sites approved") from err

    def begin(self, job: Job, federation: Path) -> None:
        """Make the folder of a new run of the federation at its home.

        Raises:
            UsageError: something is there already; it is left alone.
        """
        if self.path.exists() and any(self.path.iterdir()):
            raise UsageError(f"{self.path}: not empty; give --resume to continue its run, or another folder")
        place = _Place(federation=federation.resolve())
        write_durably(self.path / "federation.json", place.model_dump_json(indent=2).encode() + b"\n")
        write_durably(self.job_file, job.model_dump_json(indent=2).encode() + b"\n")

    def keep_terms(self, patience: Patience, approved: Mapping[str, str]) -> None:
        """Write down how patient the operator is, and which sites may take part: name -> signing key."""
        write_durably(self.patience_file, patience.model_dump_json(indent=2).encode() + b"\n")
        write_durably(self.approved_file, canonical(dict(approved)))

    def keep_members(self, enrolled: Sequence[Enrol]) -> None:
        """Write down whom the plan is made for, before the plan."""
        write_durably(self.members_file, canonical([event.model_dump(mode="json") for event in enrolled]))

    def keep_plan(self, run: Run) -> None:
        """Write down the agreed plan, before any site is asked to reserve.

        Raises:
            UsageError: another plan was agreed before: the run cannot go on as it began.
        """
        if self.plan_file.exists() and self.plan() != run:
            raise UsageError(
                f"{self.plan_file}: the plan is another now (code or sites changed); start another run"
            )
        write_durably(self.plan_file, event_bytes(run))
