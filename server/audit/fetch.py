"""`willis audit fetch`: a copy of what an audit service has, checked as it comes."""

from pathlib import Path

import click

from server.audit.datasets import fetch_datasets
from server.audit.kept import alone
from server.audit.mirror import fetch_ledger
from server.audit.options import service_options
from server.audit.remote import ClientFiles, remote
from server.audit.reports import fetch_reports
from shared.bars import bars


@click.command()
@click.argument("host")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@service_options
@click.option("--reports", is_flag=True, help="Fetch every run's report, too.")
@click.option("--datasets", is_flag=True, help="Fetch the released data sets, too.")
@click.option(
    "--patience",
    default=120.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Seconds to wait for the service while it is away.",
)
def fetch(
    host: str,
    out: Path,
    certificate: Path,
    key: Path,
    ca: Path,
    pin: str | None,
    reports: bool,
    datasets: bool,
    patience: float,
) -> None:
    """Mirror the ledger that the audit service at HOST (host:port) serves into the folder OUT, and check it.

    Every entry's place and signature are checked as it comes, then the whole against the signed checkpoint, and
    that it grew out of what OUT holds. A second fetch brings what is new. A ledger that was rewound or forked is
    refused: both checkpoints are then in OUT/evidence.

    What was broken off, at either end, goes on where it was.

    \b
    What is written:
      OUT/ledger/        entries, checkpoint, witnesses' checkpoint: `willis audit verify OUT` checks more
      OUT/runs/RUN/      --reports: a report with the ledger it was made from, for `willis audit verify`
      OUT/datasets/      --datasets: every file checked against the sums that the coordinator sealed

    \b
    Example:
      willis audit fetch centre.example.org:8445 mirror --certificate me.crt --key me.key --ca centre.crt \\
        --pin 19e900a7...
    """
    with remote(host, ClientFiles(certificate, key, ca), patience) as service, alone(out), bars() as report:
        ledger = fetch_ledger(service, out, pin, report)
        runs = fetch_reports(service, out, ledger, report) if reports else []
        sets = fetch_datasets(service, out, ledger, report) if datasets else []
    click.echo(f"fetched   {ledger.new} new entries, {len(ledger.lines)} in all, checked")
    click.echo(f"key       {ledger.key}{'' if pin else '  (as the ledger says: compare it, or give --pin)'}")
    for folder in (*runs, *sets):
        click.echo(f"wrote     {folder}")
    click.echo(f"next      willis audit verify {runs[0] if runs else out}")
