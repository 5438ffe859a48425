"""`willis dataset dicom`: a data set for systems that read DICOM alone."""

from importlib.util import find_spec
from pathlib import Path

import click

from shared.errors import UsageError


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def dicom(folder: Path, out: Path) -> None:
    """Export the data set in FOLDER as DICOM into the new folder OUT: MR series and segmentations.

    Every instance says that it is synthetic. Intensities are rounded to 16 bits; series over time and anatomical
    maps are left out. OUT is not sealed: what FOLDER claims is verified there. Needs the extra `dicom`.
    """
    if find_spec("highdicom") is None:
        raise UsageError("highdicom is not installed; install Willis with the extra `dicom`")
    from server.dataset.dicom.writing import write_dicom

    series, segmentations = write_dicom(folder, out)
    click.echo(f"wrote     {series} MR series and {segmentations} segmentations to {out}")
