"""What the budget report says in words. Every sentence is chosen by the ledger; none is typed for a run."""

from shared.canonical import Json
from shared.ledger.view import RunView, Status
from shared.privacy.events import NoiseSource

NOISE = {
    NoiseSource.SYSTEM: "a cryptographic generator (ChaCha20) keyed by the site's operating system; "
    "the key is never stored",
    NoiseSource.SEEDED: "a seed: the noise can be recomputed by whoever knows the seed. This is a "
    "simulation, not a protection",
}

STATUS = {
    Status.SETTLED: "settled: every site has signed what it really executed",
    Status.UNSETTLED: "unsettled: some site has not said what it executed, so all it reserved counts as spent",
    Status.REFUSED: "refused: a site's own policy refused the run, and no round took place",
}

STATEMENT = (
    "Take any site of this run, and any two versions of its cohort that differ in one patient: all "
    "records of that patient are there, or none is. Let the coordinator and the other sites do what "
    "they like, honest or not, choosing round by round what they send to the site. Then any event "
    "about everything the site ever sends is at most e^ε times as likely with the patient as without, "
    "plus δ, and the other way round. Left out are the number of patients it declares, the salted "
    "commitment to their list, and whether and when it answers. The ε and δ are those guaranteed to the site's "
    "patients for this run and all earlier ones together. Averaged models, what other sites send and the "
    "synthetic images are computed from such messages, so they are covered too."
)

NO_STATEMENT = (
    "None. The statement that Willis makes for private runs does not hold for this one: no finite ε is guaranteed "
    "to its patients."
)

CONDITIONS: tuple[str, ...] = (
    "Each site clips and adds the noise itself, at every private step, and every step is counted: "
    "none is assumed to stay hidden.",
    "Apart from the declared number of patients and a salted commitment to their list, nothing that reads "
    "patients leaves a site except through that noise: no losses, norms, counts or texts of errors.",
    "The clip norm, the noise, the sampling rate and the records drawn per patient are fixed before training.",
    "Noise from the operating system is never used twice, not after a crash either; seeded noise repeats.",
)

FIXED_PLANS = (
    "if every plan on these patients, and where it stopped, was fixed before any result from them was seen; "
    "PLD prices only such plans"
)
FIRST_PLAN = (
    "whatever was seen during the run: the first plan on these patients, with those reserved beside it, was fixed "
    "before it touched them, and stopping early reveals no more than the whole plan, which is what is priced here"
)
LATER_PLAN = (
    "whatever was chosen in the light of earlier results, and for all later runs too: a site admits a run only "
    "while the Rényi costs of everything on the cohort add up, at the one order its cap names, to no more than "
    "the cap means. Cap and order must have been set without looking at results"
)
NO_GUARANTEE = (
    "no patient is guaranteed anything by this run: steps ran without noise, or the unit is not the patient"
)
APART = (
    "nothing is guaranteed for all runs together: an earlier run on the same patients released results without "
    "patient-level noise, and whatever was chosen since may rest on them. The price if planned bounds what the "
    "private runs by themselves reveal"
)
CAP_CROSSED = "nothing is guaranteed: the site's own rule should have refused this run, so its cap holds no longer"
NOT_JOINED = "not computed: the sites' caps name different orders or δ, or a first plan leaves its filter no room"

DISJOINT = (
    "a patient whose records lie at one site only. Sites then compose in parallel: the figure is the largest of "
    "the sites'"
)
OVERLAP = (
    "a patient at {m} of this run's sites. The federation declares that no patient is at more than {declared}"
)
UNDECLARED = (
    "a patient at {m} of this run's sites: more than the declared {declared}. Shown so that the cost of a wrong "
    "declaration is known"
)


def not_covered(view: RunView, apart: list[tuple[str, str]]) -> list[Json]:
    """Return what the guarantee leaves out, over all layers; `apart` are (site, run) not composed."""
    from server.report.layers import LAYERS

    found: list[Json] = list(outside(view, apart))
    return [*found, *(line for layer in LAYERS for line in layer.not_covered)]


def outside(view: RunView, apart: list[tuple[str, str]]) -> list[str]:
    """Return what this run's guarantee leaves out because of what happened, not by its nature."""
    found = []
    if view.is_seeded and view.is_private:
        found.append("anything, against whoever knows the seed, who can compute the noise again")
    runs = {run: [site for site, other in apart if other == run] for _, run in apart}
    for run, sites in runs.items():
        named = ", ".join(sites[:3]) + (f" and {len(sites) - 3} more sites" if len(sites) > 3 else "")
        found.append(f"what the earlier run {run} revealed of the patients of {named}: it cannot be composed")
    return found


def noise(view: RunView) -> str:
    """Say where the noise came from, if there was any."""
    return NOISE[view.noise_source] if view.is_private else "none: the run is not private"


def pretraining(view: RunView) -> str:
    """Say what the initial weights had seen before any patient."""
    if not view.run.pretrained_on:
        return "nothing: the initial weights were drawn at random"
    if view.run.is_query:
        return f"the network that is measured ({view.run.pretrained_on})"
    if view.run.begins_with_weights:
        return f"what another run had ({view.run.pretrained_on}), whose cost to its patients is not counted here"
    return f"{view.run.pretrained_on}: public, so it costs the patients nothing"


def warnings(view: RunView, crossed: list[str]) -> list[Json]:
    """Return what a reader must see before any figure; `crossed` are the sites above their cap."""
    found: list[Json] = []
    if not view.is_private:
        found.append("NOT PRIVATE: no noise was added (ε = ∞). Nothing made from this run may be published.")
    if not view.is_patient_level:
        found.append("NOT PATIENT-LEVEL: the unit is the patch. Nothing made from this run may be published.")
    if view.is_seeded and view.is_private:
        found.append("SIMULATION: the noise came from a seed, so it protects no real patient.")
    if view.run.begins_with_weights and not view.run.is_query:
        found.append("FINE-TUNED: it began with another run's weights. Nothing made from it may be published.")
    if view.status is Status.UNSETTLED:
        found.append("UNSETTLED: reservations are open and are counted in full.")
    if view.status is Status.REFUSED:
        found.append("REFUSED: a site's policy refused this run.")
    if any(not past.spending.protects_patients for r in view.reserves.values() for past in r.past):
        found.append(
            "NO GUARANTEE FOR ALL RUNS: an earlier run on the same patients had no patient-level noise. The "
            "figures below bound only what the private runs by themselves reveal."
        )
    if crossed:
        found.append(f"CAP CROSSED at {', '.join(crossed)}: more was spent than the site allows.")
    if view.incidents:
        found.append(f"INCIDENTS: {len(view.incidents)} on record; they are listed under Security.")
    return found
