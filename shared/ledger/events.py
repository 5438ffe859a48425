"""What a ledger records: frozen events, each signed by the one who answers for it.

Sites sign what they enrol with, reserve, refuse and settle; stewards what they approve or refuse to let leave; the
coordinator signs the rest. No event holds a
time: order is the index, and the same seeds give the same bytes. The rules of evolution are those of
`shared.privacy.events`.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from shared.privacy.events import NoiseSource, SampledGaussian, Spending

GIVEN_WEIGHTS = "given weights, SHA-256"  # how `Run.pretrained_on` begins where a run began with a file's
QUERY_PREFIX = "query-"  # of recipes that measure: a query is a run whose release is its answer


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cap(_Frozen):
    """The most a site lets its patients spend, over all runs that share the cohort."""

    epsilon: float = Field(gt=0)
    delta: float = Field(gt=0, lt=1)
    order: int = Field(ge=2)  # of the Rényi filter that admits runs chosen after others were seen


class Federation(_Frozen):
    """The first entry of a coordinator's ledger: who keeps it, and the terms of every run in it."""

    type: Literal["federation"] = "federation"
    public_key: str  # of the coordinator, Ed25519, hexadecimal
    delta: float = Field(gt=0, lt=1)  # one δ for all runs, so that their costs can be compared and added up
    overlap: int = Field(ge=1)  # m: at how many of the sites one patient may be


class Enrol(_Frozen):
    """A site joins: its name, public key and the number of patients it declares (public knowledge)."""

    type: Literal["enrol"] = "enrol"
    site: str
    public_key: str  # Ed25519, hexadecimal
    patients: int = Field(ge=1)
    cohort: str  # salted commitment to the patient list; the salt stays at the site


class Run(_Frozen):
    """What is asked of every site: public knowledge, fixed before any training."""

    type: Literal["run"] = "run"
    run: str
    recipe: str
    variant: str
    preset: str
    settings: dict[str, bool | int | float | str] = {}  # of the recipe, where not its defaults
    rounds: int = Field(ge=1)
    steps_per_round: int = Field(ge=1)
    sampling_rate: float = Field(gt=0, le=1)
    # None: not clipped, only in runs that are unsafe by name
    clip_norm: float | None = Field(gt=0, allow_inf_nan=False)
    records_per_patient: int = Field(ge=1)
    spending: Spending  # what the whole run may cost each site
    delta: float = Field(gt=0, lt=1)
    noise_source: NoiseSource
    public_seed: int  # initial weights, latents, patches, phantoms: no privacy rests on it
    pretrained_on: str  # "" or the public data the initial weights come from
    code: str  # digest of the code the coordinator runs (`shared.code`); sites run the same or refuse

    @model_validator(mode="after")
    def _prices_what_it_asks_for(self) -> Self:
        """Tie the cost to the steps: what is charged are exactly the steps that rounds can ask for."""
        if len(self.spending.mechanisms) != 1:
            raise ValueError("a plan has one mechanism")
        (mechanism,) = self.spending.mechanisms
        if mechanism.steps != self.rounds * self.steps_per_round:
            raise ValueError(
                f"{mechanism.steps} steps are charged, {self.rounds} x {self.steps_per_round} asked for"
            )
        if isinstance(mechanism, SampledGaussian):
            if mechanism.sampling_rate != self.sampling_rate:
                raise ValueError("another sampling rate is charged than asked for")
            if self.clip_norm is None:
                raise ValueError("a private run must clip")
        return self

    @model_validator(mode="after")
    def _does_what_its_settings_say(self) -> Self:
        """Tie the settings that readers see to the figures that bind at the sites."""
        does = {
            "steps": self.steps_per_round,
            "sampling_rate": self.sampling_rate,
            "clip_norm": self.clip_norm,
            "records": self.records_per_patient,
        }
        for name in does.keys() & self.settings:
            if self.settings[name] != does[name]:
                raise ValueError(f"{name} is {self.settings[name]} in the settings and {does[name]} in the plan")
        return self

    @property
    def settings_in_words(self) -> str:
        """What was chosen in place of the recipe's defaults; "" if nothing."""
        return ", ".join(f"{name} = {self.settings[name]}" for name in sorted(self.settings))

    @property
    def system(self) -> str:
        """What was trained, in words."""
        changed = f", with {self.settings_in_words}" if self.settings else ""
        return f"recipe {self.recipe}, variant {self.variant}, preset {self.preset}{changed}"

    @property
    def is_query(self) -> bool:
        """Whether the run measures something on patients, noised, instead of training on them."""
        return self.recipe.startswith(QUERY_PREFIX)

    @property
    def begins_with_weights(self) -> bool:
        """Whether the first weights were given, so that this run's claim may not cover all they show."""
        return self.pretrained_on.startswith(GIVEN_WEIGHTS)


class Past(_Frozen):
    """An earlier run's spending on the same cohort, as the site's own ledger has it."""

    run: str
    recipe: str
    variant: str
    spending: Spending


class Reserve(_Frozen):
    """A site sets budget aside for the whole of a run, before its first private step."""

    type: Literal["reserve"] = "reserve"
    run: str
    site: str
    cohort: str
    plan: str  # digest of the run event that was agreed to
    recipe: str
    variant: str
    spending: Spending
    delta: float
    cap: Cap
    past: tuple[Past, ...]  # everything spent or reserved before on this cohort
    noise_source: NoiseSource


class Refuse(_Frozen):
    """A site refuses a run, or the coordinator an update; `by` says who. The reason holds public facts only."""

    type: Literal["refuse"] = "refuse"
    run: str
    site: str
    by: Literal["site", "coordinator"]
    round: int  # 0: before any training
    code: str
    reason: str


class Round(_Frozen):
    """A round ended: who was averaged, and the digest of the model that came out."""

    type: Literal["round"] = "round"
    run: str
    round: int = Field(ge=1)
    sites: tuple[str, ...]
    model: str  # digest of the coordinator's state after the round


class Settle(_Frozen):
    """What a site really executed in a run; never more than it reserved."""

    type: Literal["settle"] = "settle"
    run: str
    site: str
    rounds: int = Field(ge=0)
    spending: Spending


class Release(_Frozen):
    """A data set or a network was published, or, from seeded noise, written as a simulation: no real release."""

    type: Literal["release"] = "release"
    run: str
    kind: Literal["release", "simulation"]
    cases: int = Field(ge=0)  # 0: a network
    manifest: str  # digest of the data set's SHA256SUMS, or of the network's file
    # What follows is left out of the bytes where it is usual, as in older ledgers.
    what: Literal["data set", "network"] = Field(default="data set", exclude_if=lambda what: what == "data set")
    earlier: tuple[str, ...] = Field(default=(), exclude_if=lambda runs: not runs)  # other runs that drew too

    @model_validator(mode="after")
    def _has_cases_if_a_data_set(self) -> Self:
        """Refuse a data set without cases, and a network with some."""
        if (self.cases == 0) != (self.what == "network"):
            raise ValueError(f"a {self.what} of {self.cases} cases")
        return self


class Steward(_Frozen):
    """The coordinator names a person whose approval releases need from then on, or withdraws one it named."""

    type: Literal["steward"] = "steward"
    name: str = Field(min_length=1)
    public_key: str = Field(
        pattern=r"^[0-9a-f]{64}$"
    )  # Ed25519, hexadecimal; the private half is the person's own
    state: Literal["named", "withdrawn"]


class Check(_Frozen):
    """One question of the release gate, and its answer with figures."""

    name: str
    passed: bool
    words: str


class Gate(_Frozen):
    """What the release gate found of a data set or a network: passed or not, it is recorded."""

    type: Literal["gate"] = "gate"
    run: str
    manifest: str  # what `Release.manifest` would hold
    checks: tuple[Check, ...] = Field(min_length=1)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass; none: the gate is open."""
        return tuple(check for check in self.checks if not check.passed)


class Approval(_Frozen):
    """A steward lets a data set or a network leave, or forbids it, having looked at it."""

    type: Literal["approval"] = "approval"
    run: str
    manifest: str
    steward: str  # by name; signed with the key that the ledger has for it
    decision: Literal["approved", "refused"]
    words: str


class Incident(_Frozen):
    """Something a reader of the report should know: a witness that refused, a lost answer, a bug found later."""

    type: Literal["incident"] = "incident"
    run: str
    text: str


Event = Annotated[
    Federation | Enrol | Run | Reserve | Refuse | Round | Settle | Release | Steward | Gate | Approval | Incident,
    Field(discriminator="type"),
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
SITE_EVENTS = (Enrol, Reserve, Refuse, Settle)
