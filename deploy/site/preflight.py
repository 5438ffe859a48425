"""`willis site preflight`: everything that must be right before a hospital takes part, in one table."""

import json
from collections.abc import Mapping

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.site.findings import Check, Finding, Standing, examine
from deploy.site.home import SiteHome

_COLOURS = {Standing.OK: "green", Standing.WARNING: "yellow", Standing.PROBLEM: "red", Standing.SKIPPED: "dim"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts; it names no patients or images.")
@click.pass_context
def preflight(ctx: click.Context, *, as_json: bool) -> None:
    """Check this hospital's side and the way to the centre; nothing is changed at either end.

    The exit status is 0 if there is no problem (warnings may be), 1 if there is one.
    """
    home = ctx.find_object(SiteHome)
    assert home
    findings = dict(examine(checks(home)))
    if as_json:
        click.echo(_json(findings))
    else:
        Console().print(table(findings))
    if any(finding.standing is Standing.PROBLEM for finding in findings.values()):
        ctx.exit(1)


def checks(home: SiteHome) -> list[Check]:
    """Return all checks, each after those it rests on."""
    from deploy.site.folder_checks import centre_check, folder_checks  # they load torch and Flower
    from deploy.site.network_checks import network_checks

    return [Check("centre", lambda: centre_check(home)), *network_checks(home), *folder_checks(home)]


def table(findings: Mapping[str, Finding]) -> Table:
    """Return the findings for the screen."""
    shown = Table("check", "result", "found", "what to do", box=box.SIMPLE_HEAD)
    for name, finding in findings.items():
        said = "; ".join(part for part in (finding.said, finding.aside) if part)
        standing = f"[{_COLOURS[finding.standing]}]{finding.standing}[/]"
        shown.add_row(name, standing, escape(said), escape(finding.remedy))
    return shown


def _json(findings: Mapping[str, Finding]) -> str:
    lines = [
        {"check": name, "result": finding.standing, "found": finding.said, "remedy": finding.remedy}
        for name, finding in findings.items()
    ]
    return json.dumps(lines, ensure_ascii=False, indent=1)
