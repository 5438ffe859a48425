"""The sentences of the registry record that are the same for every run."""

FILL = "TO BE FILLED IN BY THE CURATOR"

DOMAIN = (
    "Cohorts of brain images, one at each hospital: any finite set of patients, each with any number of "
    "images, of "
    "which {records} records a training step are drawn."
)
UNIT = (
    "Neighbouring data sets differ by all records of one patient at one hospital ({relation}): every "
    "session, every "
    "image, every patch."
)
ACTORS = (
    "{sites} hospitals, each trusted with its own patients only; a coordinator and the public, trusted with "
    "nothing. "
    "Each hospital clips and adds noise before anything leaves, so the guarantee holds against the "
    "coordinator and "
    "all other hospitals together. Hospitals are taken at their word that they do so, and that no patient "
    "is at more "
    "of them than declared."
)
RELEASES = (
    "Each hospital caps what all runs on its patients may cost together; the cap does not reset. Runs after the "
    "first are admitted by a Rényi filter."
)
DESCRIPTION = "{what} ({recipe}) that {sites} hospitals trained together without their images leaving them."
USE = (
    "Developing, pre-training, teaching and testing methods of image analysis. Not for diagnosis, decisions about "
    "persons, or estimates of how common a finding is."
)
TUNING = (
    "Images are scaled by themselves or by fixed physical limits, which is declared public. Hyper-parameters are "
    "fixed in public presets; what was tried on the same patients outside the ledger is not accounted for."
)
FLOATING = "sums are exact and noise is rounded to a public grid; it is not an exact discrete Gaussian"
TIMING = "timing and participation of sites are not protected"
COMPOSITION = (
    "Sequential over steps and over runs on the same patients ({earlier} earlier runs composed at most at "
    "one site); "
    "parallel over hospitals with disjoint patients. Priced by PLD and checked by RDP and PRV, or the exact "
    "Gaussian where nothing is sampled. Runs chosen after results were seen are bounded by the cap through "
    "a Rényi "
    "filter, not by PLD."
)
POST = "Averaging, training of the generator, sampling, thresholding of labels: none of them reads patients."
JUSTIFICATION = (
    "The patient is the unit because a record, patch or image is not what a person wants protected. Noise "
    "is added at "
    "each hospital so that nobody else need be trusted. Every figure is recomputed from a signed ledger by "
    "`willis audit verify`."
)
