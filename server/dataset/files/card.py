"""The data card of a published data set: README.md, for the person who finds the folder.

Its sections are those of the scorecard for synthetic medical data (Zamzmi et al., 2025): what it is, how it was
made, for what it is meant, and seven criteria, of which those that need real images are left to whoever has some.
"""

from server.dataset.files.contents import FORBIDDEN, INTENDED, KEYWORDS, LICENCE, LIMITS, MEANING, Contents
from server.dataset.files.loaders import loaders
from server.dataset.files.manifest import name_of
from server.dataset.files.origin import Origin
from server.dataset.files.seal import NAMESPACE
from server.report.words import NOISE, pretraining
from shared.canonical import Json
from shared.identity import Identity
from shared.imaging.case_names import NOT_BIDS, subfolder
from shared.sshsig import principal

CARD = "README.md"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def card(made: Contents, signer: Identity, origin: Origin) -> str:
    """Return README.md of a published data set, with a YAML header that dataset hubs read."""
    sections = [
        _header(made),
        _what(made),
        loaders(made.cases),
        _making(made, origin),
        _privacy(made),
        _use(),
        _quality(),
        _check(made, signer),
    ]
    return "\n".join(sections)


def _header(made: Contents) -> str:
    size = next((words for limit, words in _SIZES if len(made.cases) < limit), "n>1M")
    return f"""---
license: {LICENCE.lower()}
pretty_name: "{made.title}"
task_categories:
- image-segmentation
size_categories:
- {size}
tags:
{chr(10).join(f"- {word}" for word in KEYWORDS)}
---

# {made.title}
"""


def _what(made: Contents) -> str:
    shapes = sorted({"×".join(map(str, case.shape)) for case in made.cases})
    first = next(iter(made.cases[0].files.values()))
    like = "BIDS-like, for BIDS has no names for a contrast bolus and perfusion maps"
    layout = like if subfolder(made.roles) == NOT_BIDS else "A BIDS derivative"
    return f"""## What this is

{len(made.cases)} synthetic cases. No image shows a person: each was made of random numbers, by a generator or a
public simulator. Volumes: {", ".join(shapes)} voxels. Each case has, by the names of `metadata.csv`:

{chr(10).join(f"- `{name_of(role)}`: {MEANING[role]}" for role in made.roles)}

![The first cases, as they are](contact-sheet.png)

{layout}. Images are float32, labels uint8, affines in millimetres.
Example: `{first}`.
`manifest.tsv` and `manifest.json` list every case with its shape, spacing and number of labelled voxels.
"""


def _making(made: Contents, origin: Origin) -> str:
    view = made.view
    patients = sum(view.enrolled[site].patients for site in view.reserves)
    return f"""## How it was made

{len(view.reserves)} sites that declared {patients} patients together trained one generator without their images
leaving them: {view.run.system}; {len(view.rounds)} rounds of {view.run.steps_per_round} private steps.
Before any patient, the generator had seen: {pretraining(view)}.
{origin.words}
"""


def _privacy(made: Contents) -> str:
    claims, noise = made.claims, NOISE[made.view.noise_source]
    planned = claims["if_planned"]
    assert isinstance(planned, dict)
    warning = "" if made.is_release else f"**Simulation.** The noise came from {noise}. Cite no privacy.\n\n"
    return f"""## Who is protected, and how far

{warning}The patients of the sites, each with all their records. {claims["statement"]}

Costs with everything earlier on the same patients:

| site | patients (declared) | guaranteed | if all was planned beforehand |
|---|---|---|---|
{_costs(made, claims["sites"], planned["sites"])}

The most: {made.claim}.
If planned: {_text(planned["maximum"])}, {planned["condition"]}.

The noise came from {noise}.

Not covered:

{chr(10).join(f"- {line}" for line in made.not_covered)}
"""


def _costs(made: Contents, sure: Json, planned: Json) -> str:
    assert isinstance(sure, dict)
    assert isinstance(planned, dict)
    enrolled = made.view.enrolled
    return "\n".join(
        f"| {site} | {enrolled[site].patients} | {_text(sure[site])} | {_text(planned[site])} |" for site in sure
    )


def _text(value: object) -> str:
    assert isinstance(value, dict)
    return str(value["text"])


def _use() -> str:
    return f"""## Use

Meant for: {INTENDED}.

Not meant for, and not to be used for: {FORBIDDEN}. A method trained here must be validated on real patients before
anyone relies on it.

Licence: {LICENCE}, see LICENSE.
"""


def _quality() -> str:
    return f"""## Limits and quality

{LIMITS}

| criterion | what is known |
|---|---|
| congruence, coverage | not measured here: it takes real images; whoever has some can use `willis evaluate` |
| constraint | every voxel is finite, masks hold 0 and 1, files of a case share one grid: checked before release |
| completeness | every case has every file listed above |
| compliance | the privacy claimed above follows from the ledger in this folder |
| consistency | not measured: how quality differs between sites or groups of patients is unknown |
"""


def _check(made: Contents, signer: Identity) -> str:
    name, head = principal(signer.name), made.checkpoint.head
    verify = f"ssh-keygen -Y verify -f allowed_signers -I {name} -n {NAMESPACE} -s SHA256SUMS.sig < SHA256SUMS"
    return f"""## Check it

```
sha256sum --quiet --strict -c SHA256SUMS
{verify}
willis dataset verify .
```

`allowed_signers` came with the data, so compare its key with one you got from the publisher by other means.
`dataset_description.json` holds the privacy claim for machines. `ledger.jsonl` is the federation's whole log
before the release: {head.size} entries, Merkle root `{head.root}`.
`checkpoint` (a C2SP signed note) fixes it, and `release.tlog-proof` (C2SP) proves that the release was recorded.
Every image's header says that it is synthetic, of which run, and on which ledger. Public key of the coordinator:
`{signer.public_key}`.
"""
