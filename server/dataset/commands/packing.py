"""`willis dataset pack`: a data set as a folder to upload."""

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def pack(folder: Path, out: Path) -> None:
    """Pack the released data set in FOLDER into the new folder OUT, ready for Zenodo and the like.

    OUT holds one archive (the same bytes every time), the data card, records for Zenodo, Croissant and the
    registry of deployments, the proof of the release, and SHA256SUMS of these. Nothing is uploaded. Before you
    do, fill in what zenodo.json and registry.yaml leave to the curator.
    """
    from server.dataset.pack import pack as pack_into

    archive = pack_into(folder, out)
    click.echo(f"wrote     {archive} ({archive.stat().st_size / 1e6:.1f} MB), and its records beside it")
    click.echo("next      fill in zenodo.json and registry.yaml, then upload the folder")
