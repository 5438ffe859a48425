"""The report's sections, after the evaluation pyramid of NIST SP 800-226 (Near et al. 2025).

At the top ε and the unit; then what can undermine them, layer by layer; at the base whom one trusts and how the
data came to be. Each layer says what this report covers and what it does not.
"""

from dataclasses import dataclass

from shared.canonical import Json


@dataclass(frozen=True)
class Layer:
    """One layer of the pyramid."""

    name: str  # also the section's anchor on the page
    title: str
    question: str
    covered: tuple[str, ...]
    not_covered: tuple[str, ...]


LAYERS: tuple[Layer, ...] = (
    Layer(
        "epsilon",
        "ε and its unit",
        "How much may be learnt about whom?",
        (
            "the cost to one patient with all their records, add/remove, for this run and with all earlier ones",
            "every such cost by three accountants, and whether they agree",
            "the budget each site allows, what is reserved of it and what is left",
        ),
        ("what a patient's data say about others: relatives, or anyone who shares the finding",),
    ),
    Layer(
        "algorithm",
        "Algorithm",
        "Does the method have the guarantee that is claimed for it?",
        (
            "patients are drawn at random each step, each patient's whole contribution is clipped, Gaussian "
            "noise is "
            "added, and every step is counted",
            "what was chosen after seeing results is bounded by a Rényi filter; it is not priced as if it "
            "had been "
            "planned",
        ),
        (
            "hyper-parameters tried on the same patients outside the runs listed here",
            "patients used to validate or to evaluate, unless their evaluation is in the ledger as spending",
        ),
    ),
    Layer(
        "correctness",
        "Correctness of the implementation",
        "Does the software do what the algorithm says?",
        (
            "figures are computed again from recorded events by accountants of other mathematics and other hands",
            "the digest of the code that was agreed on; a site with other code refuses",
        ),
        ("that a site really ran that code, clipped, and added the noise it signed for",),
    ),
    Layer(
        "channels",
        "Side channels",
        "Does anything leave that the noise does not cover?",
        ("where the noise came from, site by site",),
        (
            "that a site takes part, when it does, and how long it takes",
            "how far the noise, float64 on a public grid and ending at 8.6 σ, is from an ideal Gaussian",
        ),
    ),
    Layer(
        "security",
        "Security",
        "Could somebody have changed the record, or the model?",
        (
            "every entry is signed by the one it binds, and a Merkle root fixes them all",
            "which sites each round averaged, and which updates were refused",
            "what the release gate found before anything left, and which steward approved it",
            "incidents on record",
        ),
        (
            "break-ins at a site, where the real images are",
            "updates that are malicious but well formed: noise limits what is learnt of patients, not sabotage",
        ),
    ),
    Layer(
        "utility",
        "Utility and bias",
        "Is the result good enough to be worth its cost, and for whom?",
        ("what the release gate found of images that left: whether files are whole, cases differ and labels fit",),
        (
            "how good the synthetic images are: `willis evaluate` measures it and is not part of the ledger",
            "whether rare findings or small groups of patients come out worse; noise makes that likely",
        ),
    ),
    Layer(
        "trust",
        "Trust model",
        "Against whom does it hold, and on whose word?",
        (
            "a site's patients are protected against the coordinator, the other sites and the public, as "
            "each site "
            "adds its own noise before anything leaves",
            "the declared overlap between sites, and what it would cost if it were wrong",
        ),
        (
            "protection against one's own hospital, which holds the images",
            "that the declared overlap is true: nobody compared patient lists",
            "what was spent by sites that took part in other runs only: a patient who is there too pays "
            "that as well",
        ),
    ),
    Layer(
        "data",
        "Data collection",
        "How did the data come to be, and what of them was exposed before?",
        ("the declared number of patients of each site, and a commitment to its patient list",),
        (
            "the number of patients of a site: it is declared and public",
            "consent, selection and quality of the images: the hospitals answer for them",
            "preprocessing that is declared public: every image is scaled by itself or by fixed physical limits",
        ),
    ),
)


def layers_json(first: list[str]) -> list[Json]:
    """Return the layers; `first` is what this run leaves out of the top one because of what happened."""
    return [
        {
            "name": layer.name,
            "title": layer.title,
            "question": layer.question,
            "covered": list(layer.covered),
            "not_covered": [*(first if layer is LAYERS[0] else []), *layer.not_covered],
        }
        for layer in LAYERS
    ]
