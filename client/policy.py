"""What a hospital allows, as a file it edits and a pure decision.

`policy.toml` beside the cohort wins over anything the coordinator asks. Every refusal carries only public
figures, so it may be sent.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import PolicyRefusal
from shared.ledger.events import Cap, Past, Run
from shared.privacy.accounting import cost
from shared.privacy.events import NoiseSource, NonPrivate, SampledGaussian, Spending, Unit

POLICY_FILE = "policy.toml"


class Policy(BaseModel):
    """A site's rules. Every field has its key in `policy.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    max_epsilon: float = Field(gt=0, allow_inf_nan=False, default=20.0)  # over all runs that share this cohort
    delta: float = Field(gt=0, lt=1, default=1e-5)
    min_noise_multiplier: float = Field(
        ge=0, allow_inf_nan=False, default=0.3
    )  # no single release quieter than this
    min_patients: int = Field(ge=1, default=3)
    recipes: tuple[str, ...] = ()  # empty: any
    allow_seeded_noise: bool = Field(
        strict=True, default=False
    )  # simulations only: the noise can be recomputed from the seed
    allow_non_private: bool = Field(strict=True, default=False)  # simulations only: ε = ∞

    @property
    def cap(self) -> Cap:
        """The budget cap."""
        return Cap(epsilon=self.max_epsilon, delta=self.delta)


def read_policy(path: Path) -> Policy:
    """Read a policy file; a missing one means the defaults, which refuse simulations.

    Raises:
        PolicyRefusal: the file cannot be read, or has an unknown key or a value out of range; names file, key
            and remedy.
    """
    if not path.exists():
        return Policy()
    try:
        return Policy.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise PolicyRefusal(f"{path}: not valid TOML in UTF-8 ({err}); mend that line") from err
    except OSError as err:
        raise PolicyRefusal(f"{path}: cannot be read ({err.strerror}); make it readable or remove it") from err
    except ValidationError as err:
        first = err.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        known = ", ".join(Policy.model_fields)
        raise PolicyRefusal(f"{path}: {key}: {first['msg']}; known keys: {known}") from err


def decide(policy: Policy, run: Run, patients: int, past: Sequence[Past]) -> None:
    """Allow a run, or say why not.

    Raises:
        PolicyRefusal: with the figures; nothing in it is computed from patients.
    """
    _decide_kind(policy, run, patients)
    for mechanism in run.spending.mechanisms:
        if isinstance(mechanism, SampledGaussian) and mechanism.noise_multiplier < policy.min_noise_multiplier:
            raise PolicyRefusal(
                f"the noise multiplier {mechanism.noise_multiplier:g} is under the site's minimum of "
                f"{policy.min_noise_multiplier:g}; lower epsilon or take fewer steps"
            )
    if run.spending.is_private:
        _decide_budget(policy, run, past)
    elif not policy.allow_non_private:
        raise PolicyRefusal("the site does not allow runs without noise (allow_non_private = false)")


def _decide_kind(policy: Policy, run: Run, patients: int) -> None:
    if policy.recipes and run.recipe not in policy.recipes:
        raise PolicyRefusal(f"the recipe {run.recipe} is not among those allowed: {', '.join(policy.recipes)}")
    if patients < policy.min_patients:
        raise PolicyRefusal(
            f"the cohort has {patients} patients and the site's minimum is {policy.min_patients}; "
            "add patients or lower min_patients"
        )
    if run.noise_source is NoiseSource.SEEDED and not policy.allow_seeded_noise:
        raise PolicyRefusal("the site does not allow seeded noise (allow_seeded_noise = false)")
    if run.spending.unit is not Unit.PATIENT:
        raise PolicyRefusal(f"the privacy unit is the {run.spending.unit.value}; the site protects patients")


def _decide_budget(policy: Policy, run: Run, past: Sequence[Past]) -> None:
    spent = private_past(past)
    before, after = cost(spent, policy.delta), cost([*spent, run.spending], policy.delta)
    if after.epsilon > policy.max_epsilon:
        cap = replace(after, epsilon=policy.max_epsilon)
        raise PolicyRefusal(
            f"this run would bring the cohort from {before} to {after}, over the site's cap of {cap}; "
            f"ask for a smaller epsilon, or have the site raise max_epsilon in its {POLICY_FILE}"
        )


def private_past(past: Sequence[Past]) -> list[Spending]:
    """Return the noised spendings of earlier runs; unsafe ones are reported apart, never composed."""
    return [p.spending for p in past if not any(isinstance(m, NonPrivate) for m in p.spending.mechanisms)]
