"""croissant.json: the data set for catalogues, in Croissant 1.0 and its vocabulary of responsible AI (RAI 1.0).

Its records are the rows of manifest.tsv: Croissant reads no NIfTI, so a record names the files and their
checksums. The ledger knows no dates and no address, so there is none here; who uploads the data set adds them.
"""

from pathlib import Path

from server.dataset.files.contents import FORBIDDEN, INTENDED, KEYWORDS, LICENCE_PAGE, LIMITS, MEANING, Contents
from server.dataset.files.manifest import TABLE, name_of
from server.dataset.files.origin import Origin
from server.dataset.files.seal import sha256
from server.dataset.files.text import write_json
from shared.canonical import Json

CROISSANT = "croissant.json"
RECORDS = "cases"
PRIVACY = "rai:personalSensitiveInformation"
_WORDS = """
    citeAs column equivalentProperty extract field fileObject fileProperty fileSet format includes
    isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate
    separator source subField transform
"""
# The context of the specification, which readers compare with their own.
_CONTEXT: dict[str, Json] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{word: f"cr:{word}" for word in _WORDS.split()},
}


def write_croissant(folder: Path, made: Contents, origin: Origin) -> None:
    """Write croissant.json; the manifest must be there."""
    write_json(folder / CROISSANT, croissant(made, origin, sha256(folder / TABLE)))


def croissant(made: Contents, origin: Origin, manifest_sha256: str) -> dict[str, Json]:
    """Return croissant.json of a data set whose manifest.tsv has that checksum."""
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": made.title,
        "description": f"{len(made.cases)} synthetic, labelled cases. No image shows a person. {LIMITS}",
        "license": LICENCE_PAGE,
        "version": "1.0.0",
        "keywords": list(KEYWORDS),
        "creator": [{"@type": "sc:Organization", "name": site} for site in made.view.reserves],
        "citeAs": f"{made.title}, run {made.run}",
        "isLiveDataset": False,
        **_responsible(made, origin),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": TABLE,
                "name": TABLE,
                "contentUrl": TABLE,
                "encodingFormat": "text/tab-separated-values",
                "sha256": manifest_sha256,
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": RECORDS,
                "name": RECORDS,
                "description": "one record a case; paths are relative to the data set",
                "key": {"@id": f"{RECORDS}/participant_id"},
                "field": [_field(column, words) for column, words in _columns(made).items()],
            }
        ],
    }


def _responsible(made: Contents, origin: Origin) -> dict[str, Json]:
    """Return the RAI properties that say something here."""
    head = made.checkpoint.head
    return {
        "rai:dataCollection": (
            f"Drawn from a generator: {made.view.run.system}. {len(made.view.reserves)} hospitals trained it "
            f"without their images leaving them. Code digest {made.view.run.code}; ledger of {head.size} entries, "
            f"Merkle root {head.root}."
        ),
        "rai:dataAnnotationProtocol": origin.words.replace("\n", " "),
        "rai:dataLimitations": [LIMITS, f"Not meant for {FORBIDDEN}."],
        "rai:dataBiases": ["Rare findings and small groups of patients come out worse; noise makes that likely."],
        "rai:dataUseCases": [INTENDED],
        PRIVACY: [
            f"{made.claim}. {made.claims['statement']}",
            f"The noise came from {made.claims['noise_in_words']}.",
            *(f"Not covered: {line}" for line in made.not_covered),
        ],
        "rai:dataReleaseMaintenancePlan": "A sealed data set is never changed; more cases are another data set.",
    }


def _columns(made: Contents) -> dict[str, str]:
    """Return what every column of the manifest means."""
    names = {name_of(role): MEANING[role] for role in made.roles}
    return {
        "participant_id": "the case; no such person exists",
        **{name: f"file: {words}" for name, words in names.items()},
        **{f"sha256_{name}": f"SHA-256 of the file in {name}" for name in names},
        "shape": "voxels along i, j and k",
        "spacing_mm": "edges of a voxel, millimetres",
        **{f"voxels_{name_of(r)}": f"labelled voxels in {name_of(r)}" for r in made.roles if r.is_label},
    }


def _field(column: str, words: str) -> Json:
    return {
        "@type": "cr:Field",
        "@id": f"{RECORDS}/{column}",
        "name": column,
        "description": words,
        "dataType": "sc:Integer" if column.startswith("voxels_") else "sc:Text",
        "source": {"fileObject": {"@id": TABLE}, "extract": {"column": column}},
    }
