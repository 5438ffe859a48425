"""`willis audit compare`: what changed from one report to another."""

import json
from pathlib import Path

import click

from shared.errors import WillisError

_SOURCE = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("a", type=_SOURCE)
@click.argument("b", type=_SOURCE)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON, for programs.")
def compare(a: Path, b: Path, as_json: bool) -> None:
    """Compare the reports A and B: two run folders, or two files report.json.

    Says for every site which of them guarantees its patients more, or why that cannot be said; what was added or
    dropped; and, of run folders, whether one ledger continues the other or was forked. It compares what reports
    say; `willis audit verify` checks it. The exit status is 0 when nothing differs, 1 when something does, and 2
    when they cannot be read.

    \b
    Examples:
      willis audit compare last-year/run run
      willis audit compare a/report.json b/report.json --json
    """
    from rich.console import Console

    from server.audit.comparison import compare_reports
    from server.audit.comparison_words import show
    from server.audit.sources import lineage, read_source

    try:
        first, second = read_source(a), read_source(b)
    except WillisError as err:
        click.echo(f"willis: {err}", err=True)
        raise SystemExit(2) from err
    found = compare_reports(first.report, second.report, lineage(first.ledger, second.ledger))
    if as_json:
        click.echo(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False))
    else:
        show(found, Console())
    if not found["same"]:
        raise SystemExit(1)
