"""What ran, as frozen data. What it cost is computed elsewhere (`shared.privacy.accounting`).

How this vocabulary may evolve: the meaning of a class never changes; a new mechanism is a new class with
a new `type`; a reader that meets an unknown `type` refuses the event instead of skipping it.

>>> plan = Spending.of(SampledGaussian(noise_multiplier=2.73, sampling_rate=0.25, steps=300))
>>> Spending.model_validate_json(plan.model_dump_json()) == plan
True
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Unit(StrEnum):
    """Whose data a neighbouring data set adds or removes."""

    PATIENT = "patient"  # all records of one patient: every session, every patch
    PATCH = "patch"  # one patch; only to reproduce papers, never publishable


class Relation(StrEnum):
    """How two neighbouring data sets differ."""

    ADD_REMOVE = "add/remove"


class NoiseSource(StrEnum):
    """Where the noise and the patient draws came from."""

    SYSTEM = "system"  # a cryptographic generator keyed by the operating system
    SEEDED = "seeded"  # a seed, for simulations: whoever knows the seed can undo the noise


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SampledGaussian(_Frozen):
    """`steps` times: draw each unit with probability `sampling_rate`, sum, add N(0, (noise_multiplier·C)² I)."""

    type: Literal["sampled-gaussian"] = "sampled-gaussian"
    noise_multiplier: float = Field(ge=1e-6, allow_inf_nan=False)  # standard deviation / clip norm
    sampling_rate: float = Field(gt=0, le=1)  # 1: everyone, every step
    steps: int = Field(ge=0)


class NonPrivate(_Frozen):
    """Steps whose result was released without noise: ε = ∞."""

    type: Literal["non-private"] = "non-private"
    steps: int = Field(ge=0)


Mechanism = Annotated[SampledGaussian | NonPrivate, Field(discriminator="type")]


class Spending(_Frozen):
    """Mechanisms applied to one cohort, with the unit and relation that give them meaning."""

    unit: Unit
    relation: Relation
    mechanisms: tuple[Mechanism, ...]

    @classmethod
    def of(cls, *mechanisms: SampledGaussian | NonPrivate, unit: Unit = Unit.PATIENT) -> "Spending":
        """Return the spending of `mechanisms` under add/remove of one `unit`."""
        return cls(unit=unit, relation=Relation.ADD_REMOVE, mechanisms=mechanisms)

    @property
    def is_private(self) -> bool:
        """Whether every step that ran was noised."""
        return not any(isinstance(m, NonPrivate) and m.steps for m in self.mechanisms)

    @property
    def protects_patients(self) -> bool:
        """Whether it has a finite cost for a patient: noised, and with the patient as the unit."""
        return self.is_private and self.unit is Unit.PATIENT

    @property
    def steps(self) -> int:
        """Number of releases."""
        return sum(m.steps for m in self.mechanisms)
