"""What a hospital allows, as a file it edits and a pure decision.

`policy.toml` beside the cohort wins over anything the coordinator asks. Every refusal carries only public
figures, so it may be sent.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import PolicyRefusal
from shared.ledger.budget import filter_of, over_cap
from shared.ledger.events import QUERY_PREFIX, Cap, Past, Run
from shared.lines import place_of
from shared.privacy.accounting import PrivacyCost
from shared.privacy.events import NoiseSource, SampledGaussian, Unit
from shared.privacy.filter import order_for
from shared.privacy.renyi import epsilon_at, rdp

POLICY_FILE = "policy.toml"
MAX_STEPS = 10**6  # twice the longest recipe's; PLD of many more takes hours
FAR = 10  # times the cap: a plan whose Rényi bound is beyond is refused without PLD, which would take gigabytes
MAX_EXPECTED_FAILURES = 0.1  # δ times patients: how many may, at worst, be left without protection


class Policy(BaseModel):
    """A site's rules. Every field has its key in `policy.toml`; an empty list allows any."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    max_epsilon: float = Field(
        gt=0,
        allow_inf_nan=False,
        default=20.0,
        description="The most ε one patient may spend over all runs that share this cohort, at the δ below: the "
        "first run is counted by PLD, later ones by a Rényi filter. A smaller value protects better.",
    )
    delta: float = Field(
        gt=0,
        lt=1,
        default=1e-5,
        description="The δ of all runs; it is agreed on in the federation, others are refused.",
    )
    renyi_order: int | None = Field(
        ge=2,
        le=1024,
        default=None,
        description="Order of the filter that admits runs after the first, fixed before any result is seen. Where "
        "it is not set, the best for the two values above.",
    )
    min_noise_multiplier: float = Field(
        ge=0,
        allow_inf_nan=False,
        default=0.3,
        description="The least noise of one step, in multiples of the most that one patient can change the sum.",
    )
    min_patients: int = Field(ge=1, default=3, description="With fewer patients than this, no run is admitted.")
    recipes: tuple[str, ...] = Field(
        default=(), description='Recipes that may run, such as "vessels-2d"; empty: any.'
    )
    presets: tuple[str, ...] = Field(default=(), description='Presets that may run, such as "small"; empty: any.')
    queries: tuple[str, ...] = Field(
        default=(), description='What may be measured on these patients, such as "query-dice"; empty: anything.'
    )
    held_out: bool = Field(
        strict=True,
        default=False,
        description="true: nobody trains on these patients, they are only measured on; see the queries above.",
    )
    code: tuple[str, ...] = Field(
        default=(),
        description="Digests of code that was reviewed; empty: any, if the centre runs what is installed here.",
    )
    allow_seeded_noise: bool = Field(
        strict=True,
        default=False,
        description="For simulations only: true admits noise that a seed gives away, which protects nobody.",
    )
    allow_non_private: bool = Field(
        strict=True, default=False, description="For simulations only: true admits runs without noise."
    )
    allow_patch_unit: bool = Field(
        strict=True,
        default=False,
        description="For simulations only: true admits runs that protect a patch of an image, not a patient.",
    )

    @property
    def cap(self) -> Cap:
        """The budget cap.

        Raises:
            UsageError: (ε, δ) leave nothing to spend at the order chosen.
        """
        order = self.renyi_order or order_for(self.max_epsilon, self.delta)
        cap = Cap(epsilon=self.max_epsilon, delta=self.delta, order=order)
        filter_of(cap)  # raises where nothing could ever be admitted
        return cap


def read_policy(path: Path) -> Policy:
    """Read a policy file; a missing one means the defaults, which refuse simulations.

    Raises:
        PolicyRefusal: the file cannot be read, or has an unknown key or a value out of range; names file,
            line, key and remedy.
    """
    if not path.exists():
        return Policy()
    try:
        text = path.read_text(encoding="utf-8")
        return Policy.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise PolicyRefusal(f"{path}: not valid TOML in UTF-8 ({err}); mend that line") from err
    except OSError as err:
        raise PolicyRefusal(f"{path}: cannot be read ({err.strerror}); make it readable or remove it") from err
    except ValidationError as err:
        first = err.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        where = place_of(path, text, str(first["loc"][0]))
        known = ", ".join(Policy.model_fields)
        raise PolicyRefusal(f"{where}: {key}: {first['msg']}; known keys: {known}") from err


def decide(policy: Policy, run: Run, patients: int, past: Sequence[Past], code: str) -> None:
    """Allow a run, or say why not; `code` is the digest of what is installed at the site.

    Raises:
        PolicyRefusal: with the figures; nothing in it is computed from patients.
    """
    for why in (
        _plan_objection(policy, run, patients),
        _code_objection(policy, run, code),
        _noise_objection(policy, run),
        _price_objection(policy, run),
    ):
        if why:
            raise PolicyRefusal(why)
    if run.spending.protects_patients and (why := over_cap(policy.cap, past, run.spending)):
        raise PolicyRefusal(
            f"{why}; ask for a smaller epsilon, or have the site raise max_epsilon in its {POLICY_FILE}"
        )


def check_scope(policy: Policy, recipe: str, preset: str) -> None:
    """Allow what is asked for by name, before anything is said of the patients it would need.

    How many patients have the files of a recipe is known for each recipe apart: a policy that leaves a recipe out
    keeps that number, too.

    Raises:
        PolicyRefusal: the recipe, query or preset is not among those allowed.
    """
    if why := _scope_objection(policy, recipe, preset):
        raise PolicyRefusal(why)


def _scope_objection(policy: Policy, recipe: str, preset: str) -> str:
    is_query = recipe.startswith(QUERY_PREFIX)
    allowed = policy.queries if is_query else policy.recipes
    kind = "query" if is_query else "recipe"
    if policy.held_out and not is_query:
        return f"the recipe {recipe} would train on patients who are held out (held_out = true)"
    if allowed and recipe not in allowed:
        return f"the {kind} {recipe} is not among those allowed: {', '.join(allowed)}"
    if policy.presets and preset not in policy.presets:
        return f"the preset {preset} is not among those allowed: {', '.join(policy.presets)}"
    return ""


def _plan_objection(policy: Policy, run: Run, patients: int) -> str:
    if why := _scope_objection(policy, run.recipe, run.preset):
        return why
    if patients < policy.min_patients:
        return (
            f"the cohort has {patients} patients and the site's minimum is {policy.min_patients}; "
            "add patients or lower min_patients"
        )
    if run.delta != policy.delta:
        return f"the run asks for δ = {run.delta:g}, and the site's is {policy.delta:g}; agree on one"
    if run.delta * patients > MAX_EXPECTED_FAILURES:
        most = f"{MAX_EXPECTED_FAILURES:g} / {patients} patients"
        return f"δ = {run.delta:g} is too large for the cohort; choose at most {most}"
    return ""


def _code_objection(policy: Policy, run: Run, code: str) -> str:
    if run.code != code:
        return (
            f"the coordinator runs code {run.code[:12]} and the site {code[:12]}; install the same release at both"
        )
    if policy.code and code not in policy.code:
        return f"the code {code[:12]} is not among those the site has approved in its {POLICY_FILE}"
    return ""


def _price_objection(policy: Policy, run: Run) -> str:
    """Refuse what cannot be priced in reasonable time: a coordinator must not be able to keep a site busy."""
    if run.spending.steps > MAX_STEPS:
        return f"the run asks for {run.spending.steps} steps, and a site prices at most {MAX_STEPS}"
    if not run.spending.protects_patients:
        return ""
    orders = (2**n for n in range(1, 11))
    rough = min(epsilon_at(order, rdp([run.spending], order), run.delta) for order in orders)
    if rough <= FAR * policy.max_epsilon:
        return ""
    bound = PrivacyCost(rough, run.delta, run.spending.unit, run.spending.relation, "RDP, an upper bound")
    return f"this run is far beyond the site's cap of ε = {policy.max_epsilon:g} at the same δ: {bound}"


def _noise_objection(policy: Policy, run: Run) -> str:
    if run.noise_source is NoiseSource.SEEDED and not policy.allow_seeded_noise:
        return "the site does not allow seeded noise (allow_seeded_noise = false)"
    if run.spending.unit is not Unit.PATIENT and not policy.allow_patch_unit:
        return f"the privacy unit is the {run.spending.unit.value}; the site protects patients"
    if not run.spending.is_private:
        return (
            ""
            if policy.allow_non_private
            else ("the site does not allow runs without noise (allow_non_private = false)")
        )
    quietest = min(m.noise_multiplier for m in run.spending.mechanisms if isinstance(m, SampledGaussian))
    if quietest < policy.min_noise_multiplier:
        return (
            f"the noise multiplier {quietest:g} is under the site's minimum of {policy.min_noise_multiplier:g}; "
            "lower epsilon or take fewer steps"
        )
    return ""
