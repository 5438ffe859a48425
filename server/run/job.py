"""What a person asks for. Apart from the plan it becomes, so that reading it needs no recipe, and no torch."""

from pydantic import BaseModel, ConfigDict, Field

from shared.privacy.events import NoiseSource
from shared.recipes.settings import Setting


class Job(BaseModel):
    """A run as asked for; kept in `run.json`, so that a resumed run is the same run."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    recipe: str
    variant: str
    preset: str
    settings: dict[str, Setting] = {}  # of the recipe, where not its defaults
    epsilon: float | None = Field(gt=0)  # None: non-private, unsafe by name
    delta: float = Field(gt=0, lt=1)
    rounds: int = Field(ge=1)
    sites: int = Field(ge=1)  # how many must be connected before enrolment
    noise_source: NoiseSource
    public_seed: int = Field(ge=0)
    pretrain: bool
    initial: str = ""  # SHA-256 of the file of initial weights, where a run starts from given ones
    cases: int = Field(ge=1)  # size of the data set published at the end
    nonce: str  # "" in seeded simulations, so that the same seeds give the same run
