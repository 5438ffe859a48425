"""Images drawn from a person's own map and masks: kept apart from data sets, and not one of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from server.dataset.files.cases import Case, check_cases, write_cases
from server.dataset.publication import whole_or_nothing
from shared.imaging.scan import Role, Scan
from shared.ledger.events import Run
from shared.ledger.release_rules import kind_of
from shared.ledger.verify import reasons_against
from shared.ledger.view import RunView

_PRIVATE = """What is private of them: the run's claim protects the patients it was trained on, whatever is drawn.
It does NOT cover the map and the masks you gave: if these are a patient's, so are the images, and they must be
kept where that patient's images are kept. If map and masks are public, so may be the images."""
_SIMULATION = """SIMULATION - NOT A RELEASE: the run's noise can be computed again from its seed, so nobody is
protected whom it was trained on. Nor are the map and the masks you gave."""
_NOT_PRIVATE = """NOT PRIVATE - NOT FOR PUBLICATION: nothing drawn from the run may be published, for the images
may show what one of its patients' shows. Nor are the map and the masks you gave protected. Why:"""


def write_drawings(
    out: Path, scans: Iterable[Scan], *, seen: RunView, anatomy: str, lesions: Sequence[str]
) -> Path:
    """Write every scan, a contact sheet, and a README that says what they are; return `out`.

    Args:
        out: a new folder.
        scans: one for each lesion.
        seen: the run whose generator drew.
        anatomy: file name of the map.
        lesions: file names of the masks.

    Raises:
        PublicationRefused: `out` exists, or a file reads back differently.
    """
    with whole_or_nothing(out) as partial:
        prefix, mark, words = _privacy(seen)
        text = f"DRAWN FROM GIVEN FILES{mark} willis {seen.run.run[:12]}"
        cases = write_cases(partial, scans, prefix=prefix, description=text, made="drawn")
        readme = _readme(seen.run, cases, anatomy, lesions, words)
        (partial / "README.md").write_text(readme, encoding="utf-8")
        check_cases(partial, cases)
    return out


def _privacy(seen: RunView) -> tuple[str, str, str]:
    """Return how cases are named, what headers add, and what the README says of the run's patients."""
    if reasons := reasons_against(seen):
        return "unsafe", ", NOT PRIVATE", "\n".join([_NOT_PRIVATE, "", *(f"- {reason}" for reason in reasons)])
    if kind_of(seen) == "simulation":
        return "drawn", ", SIMULATION", _SIMULATION
    return "drawn", "", _PRIVATE


def _readme(run: Run, cases: Sequence[Case], anatomy: str, lesions: Sequence[str], words: str) -> str:
    rows = [
        f"| {case.name} | {name} | {case.label_voxels[Role.LESION]} |"
        for case, name in zip(cases, lesions, strict=True)
    ]
    return f"""# Drawings from given files, not a data set of a run

{len(cases)} images that the generator of run {run.run} ({run.system}) drew of the map `{anatomy}`
and of lesions from these files:

| case | lesion | voxels drawn |
|---|---|---|
{chr(10).join(rows)}

{words}

The ledger records no release, and nothing here is signed. Not for diagnosis or any decision about a person.

![The first cases, in the slice with most of the lesion](contact-sheet.png)
"""
