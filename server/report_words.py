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
    "plus δ, and the other way round. The ε and δ are the site's: those of this run alone for what it "
    "sends in this run, those with all earlier runs for everything together. Averaged models, what "
    "other sites send and the synthetic images are computed from such messages, so they are covered too."
)

NO_STATEMENT = (
    "None. The statement that Willis makes for private runs does not hold for this one: steps were "
    "released without noise, or the unit is not the patient."
)

CONDITIONS: tuple[str, ...] = (
    "Each site clips and adds the noise itself, at every private step, and every step is counted: "
    "none is assumed to stay hidden.",
    "Nothing that reads patients leaves a site except through that noise: no losses, norms, counts or "
    "texts of errors.",
    "The clip norm, the noise, the sampling rate and the records drawn per patient are fixed before training.",
    "Noise is never used twice, not after a crash either.",
    "The plan of a run is declared in advance: PLD prices such plans.",
)

DISJOINT = (
    "Sites compose in parallel: the figure for the federation is the largest of the sites'. This "
    "holds for a patient whose records lie at one site only. For a patient with records at two sites "
    "the costs add up; the second figure is for a patient at two sites that both spend what the "
    "costliest one spent."
)

_NOT_COVERED: tuple[str, ...] = (
    "the number of patients of a site: it is declared and public",
    "that a site takes part, when it does, and how long it takes",
    "preprocessing that is declared public: every image is scaled by itself or by fixed physical limits",
    "hyper-parameters tried on the same patients outside the runs listed here",
    "patients used to validate or to evaluate, unless their evaluation is in the ledger as spending",
    "what a patient's data say about others: relatives, or anyone who shares the finding",
    "attacks on the last bits of floating-point noise: the sampler is not hardened against them yet",
    "later runs on the same cohort that are planned in the light of this one's result: PLD prices "
    "plans declared in advance, and a cap does not stop a plan from depending on results",
)


def not_covered(view: RunView, apart: list[tuple[str, str]]) -> list[Json]:
    """Return what the guarantee leaves out; `apart` are (site, run) of earlier runs not composed."""
    found: list[Json] = []
    if view.is_seeded and view.is_private:
        found.append(f"anything, against whoever knows the seed: the noise came from {NOISE[NoiseSource.SEEDED]}")
    found += [
        f"what the earlier run {run} revealed of the patients of {site}: it cannot be composed"
        for site, run in apart
    ]
    return [*found, *_NOT_COVERED]


def noise(view: RunView) -> str:
    """Say where the noise came from, if there was any."""
    return NOISE[view.noise_source] if view.is_private else "none: the run is not private"


def pretraining(view: RunView) -> str:
    """Say what the initial weights had seen before any patient."""
    if not view.run.pretrained_on:
        return "nothing: the initial weights were drawn at random"
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
    if view.status is Status.UNSETTLED:
        found.append("UNSETTLED: reservations are open and are counted in full.")
    if view.status is Status.REFUSED:
        found.append("REFUSED: a site's policy refused this run.")
    found += [f"CAP CROSSED at {site}: more was spent than the site allows." for site in crossed]
    return found
