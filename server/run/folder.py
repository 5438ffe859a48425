"""The folder of one run at its coordinator, and where the federation's key and ledger are.

`run.json` says what was asked, `plan.json` the plan that all sites reserved against; `ledger/` is an export of
the federation's ledger as far as it had come, `checkpoints/` the model after the last rounds.
"""

from pathlib import Path

from pydantic import BaseModel

from server.ledger.home import Home
from server.run.job import Job
from shared.errors import UsageError
from shared.files import write_durably
from shared.ledger.events import Run
from shared.ledger.log import event_bytes


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
