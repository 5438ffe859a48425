"""Images drawn from a person's own map and masks: kept apart from data sets, and not one of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from server.dataset.cases import Case, check_cases, write_cases
from server.dataset.publication import whole_or_nothing
from shared.imaging.scan import Role, Scan
from shared.ledger.events import Run

_PRIVATE = """What is private of them: the run's claim protects the patients it was trained on, whatever is drawn.
It does NOT cover the map and the masks you gave: if these are a patient's, so are the images, and they must be
kept where that patient's images are kept. If map and masks are public, so may be the images."""
_NOT_PRIVATE = """NOT PRIVATE - NOT FOR PUBLICATION: the run was trained without protection of its patients, and
the images may show what one of theirs shows. Nor are the map and the masks you gave protected."""


def write_drawings(out: Path, scans: Iterable[Scan], *, run: Run, anatomy: str, lesions: Sequence[str]) -> Path:
    """Write every scan, a contact sheet, and a README that says what they are; return `out`.

    Args:
        out: a new folder.
        scans: one for each lesion.
        run: whose generator drew.
        anatomy: file name of the map.
        lesions: file names of the masks.

    Raises:
        PublicationRefused: `out` exists, or a file reads back differently.
    """
    protects = run.spending.protects_patients
    with whole_or_nothing(out) as partial:
        text = f"DRAWN FROM GIVEN FILES{'' if protects else ', NOT PRIVATE'} willis {run.run[:12]}"
        cases = write_cases(partial, scans, prefix="drawn" if protects else "unsafe", description=text)
        readme = _readme(run, cases, anatomy, lesions)
        (partial / "README.md").write_text(readme, encoding="utf-8")
        check_cases(partial, cases)
    return out


def _readme(run: Run, cases: Sequence[Case], anatomy: str, lesions: Sequence[str]) -> str:
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

{_PRIVATE if run.spending.protects_patients else _NOT_PRIVATE}

The ledger records no release, and nothing here is signed. Not for diagnosis or any decision about a person.

![The first cases, in the slice with most of the lesion](contact-sheet.png)
"""
