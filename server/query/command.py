"""`willis query compare`: what two finished queries say together. It asks nobody and costs nothing."""

from pathlib import Path

import click

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command()
@click.argument("answer", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--of", required=True, type=_FOLDER, help="Data set or candidate (or the run with its data set).")
@click.option("--trained", required=True, type=_FOLDER, help="Finished query of the patients trained on.")
@click.option("--held-out", required=True, type=_FOLDER, help="Finished query of patients nobody trained on.")
@click.option("--run", type=_FOLDER, help="The run that drew the data set, where it does not lie within.")
def compare(answer: Path, of: Path, trained: Path, held_out: Path, run: Path | None) -> None:
    """Compare two finished queries `query-distance` about one data set, and write the file ANSWER (JSON).

    For queries of hospitals elsewhere, or to repeat what `willis query distance` said. Nobody is asked, and
    nothing is spent: answers are noised already.

    \b
    Example:
      willis query compare answer.json --of run --trained runs/near --held-out runs/near-held-out
    """
    from server.query.comparing import compare as compared
    from server.query.comparing import lines_of
    from server.query.data_set import find_data_set

    for line in lines_of(compared(answer, find_data_set(of, run), trained, held_out)):
        click.echo(line)
