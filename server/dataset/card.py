"""The data card of a published data set: README.md, for the person who finds the folder."""

from collections.abc import Sequence

from server.dataset.cases import Case
from server.dataset.claims import privacy_claims
from server.dataset.files import LICENCE
from server.dataset.origin import USUAL, Origin
from server.dataset.seal import NAMESPACE
from server.report.words import NOISE, not_covered, pretraining
from shared.identity import Identity
from shared.imaging.perfusion.maps import NAMES, UNITS
from shared.imaging.scan import Role
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.log import Head
from shared.ledger.release_rules import kind_of, objections
from shared.ledger.view import RunView
from shared.sshsig import principal

_MEANING = {
    Role.ANGIO: "synthetic time-of-flight MR angiogram; intensity in arbitrary units",
    Role.VESSELS: "1 where the generator drew an artery, 0 elsewhere",
    Role.BRAIN: "1 inside the brain, 0 elsewhere",
    Role.LESION: "1 inside a stroke lesion, 0 elsewhere",
    Role.DWI: "synthetic diffusion-weighted image; 0 to 1, in units of its 99.5th percentile",
    Role.ANATOMY: "structures by FreeSurfer number, 0 outside the brain; of a public phantom, not of a patient",
    Role.DSC: "series of a contrast bolus, arbitrary units, timing beside it; of a public phantom, of no patient",
    **{
        role: f"{NAMES[role]}, {unit}; drawn by the generator, 0 outside the brain" for role, unit in UNITS.items()
    },
}


def card(
    view: RunView, cases: Sequence[Case], checkpoint: Checkpoint, signer: Identity, origin: Origin = USUAL
) -> str:
    """Return README.md of a published data set, with a YAML header that dataset hubs read."""
    sections = [
        _header(view),
        _what(view, cases, origin),
        _privacy(view, checkpoint.head),
        _files(cases),
        _use(),
        _check(checkpoint.head, signer),
    ]
    return "\n".join(sections)


def unsafe_card(view: RunView, run_folder: str) -> str:
    """Return README.md of samples that may not be published."""
    reasons = objections(view) or ["a person asked for samples outside publication"]
    return "\n".join(
        [
            "NOT PRIVATE - NOT FOR PUBLICATION",
            "",
            f"Samples of run {view.run.run} (folder {run_folder}), written on request with "
            "`--unsafe-non-private`. They may show what a real patient's image shows. Keep them where the "
            "patients' own images are kept, and delete them when they have served.",
            "",
            "Why this run may not be published:",
            "",
            *(f"- {reason}" for reason in reasons),
            "",
            "Nothing here is signed, and the ledger records no release.",
            "",
        ]
    )


def _header(view: RunView) -> str:
    tags = ["synthetic", "medical", "brain", "differential-privacy"]
    return "\n".join(
        [
            "---",
            "license: " + LICENCE.lower(),
            "tags:",
            *(f"- {t}" for t in tags),
            "---",
            "",
            f"# {_title(view)}",
            "",
        ]
    )


def _title(view: RunView) -> str:
    kind = "" if kind_of(view) == "release" else "SIMULATION, not a release: "
    return f"{kind}Synthetic brain images, {view.run.recipe} (Willis run {view.run.run[:12]})"


def _what(view: RunView, cases: Sequence[Case], origin: Origin) -> str:
    run, sites = view.run, len(view.reserves)
    patients = sum(view.enrolled[site].patients for site in view.reserves)
    roles = sorted({role for case in cases for role in case.files})
    shapes = sorted({"×".join(map(str, case.shape)) for case in cases})
    return f"""## What this is

{len(cases)} synthetic cases. No image shows a person: each was made of random numbers, by a generator or a public
simulator. Volumes: {", ".join(shapes)} voxels. Each case has:

{chr(10).join(f"- `{role.value}`: {_MEANING[role]}" for role in roles)}

![The first cases, as they are](contact-sheet.png)

## How it was made

{sites} sites that declared {patients} patients together trained one generator without their images leaving
them: {run.system}; {len(view.rounds)} rounds of {run.steps_per_round} private steps. Before any patient, the
generator had seen: {pretraining(view)}.
{origin.words}
"""


def _privacy(view: RunView, head: Head) -> str:
    claims = privacy_claims(view, head)
    rows, planned = claims["sites"], claims["if_planned"]
    assert isinstance(rows, dict)
    assert isinstance(planned, dict)
    assert isinstance(planned["sites"], dict)
    prices = planned["sites"]
    table = [
        f"| {site} | {view.enrolled[site].patients} | {_text(rows[site])} | {_text(prices[site])} |"
        for site in rows
    ]
    at_once = f"a patient at {claims['overlap']} of the sites, as many as the federation allows"
    earlier = [
        (site, p.run) for site, r in view.reserves.items() for p in r.past if not p.spending.protects_patients
    ]
    warning = ""
    if view.is_seeded:
        warning = f"**Simulation.** The noise came from {NOISE[view.noise_source]}. Cite no privacy.\n\n"
    return f"""## Who is protected, and how far

{warning}The patients of the sites, each with all their records. {claims["statement"]}

Costs with everything earlier on the same patients:

| site | patients (declared) | guaranteed | if all was planned beforehand |
|---|---|---|---|
{chr(10).join(table)}

The most for {at_once}: guaranteed {_text(claims["maximum"])}, {claims["condition"]}.
If planned: {_text(planned["maximum"])}, {planned["condition"]}.

The noise came from {NOISE[view.noise_source]}.

Not covered:

{chr(10).join(f"- {line}" for line in not_covered(view, earlier))}
"""


def _text(value: object) -> str:
    assert isinstance(value, dict)
    return str(value["text"])


def _files(cases: Sequence[Case]) -> str:
    first = next(iter(cases[0].files.values()))
    return f"""## Files

BIDS-like derivative; images are float32, labels uint8, affines in millimetres. Example: `{first}`.
`manifest.tsv` and `manifest.json` list every case with its shape, spacing and number of labelled voxels.
`dataset_description.json` holds the privacy claim for machines. `ledger.jsonl` is the federation's whole log
up to this release, and `checkpoint` (a C2SP signed note) fixes it.
"""


def _use() -> str:
    return f"""## Use

Meant for: developing, pre-training, teaching and testing methods for the labels above.

Not meant for, and not to be used for: diagnosis or any decision about a person; estimates of how common a
finding is; claims about groups of patients; attempts to find out who took part in the training. A method
trained here must be validated on real patients before anyone relies on it.

## Limits

Synthetic images miss what is rare and can show anatomy that does not exist. Noise added for privacy blurs
what few patients have. The cases are as varied as the generator, not as the population.

Licence: {LICENCE}, see LICENSE.
"""


def _check(head: Head, signer: Identity) -> str:
    name = principal(signer.name)
    verify = f"ssh-keygen -Y verify -f allowed_signers -I {name} -n {NAMESPACE} -s SHA256SUMS.sig < SHA256SUMS"
    return f"""## Check it

```
sha256sum --quiet --strict -c SHA256SUMS
{verify}
```

`allowed_signers` came with the data, so compare its key with one you got from the publisher by other means.
The ledger had {head.size} entries, Merkle root `{head.root}`. Public key of the coordinator, in hexadecimal:
`{signer.public_key}`.
"""
