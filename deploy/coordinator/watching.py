"""`willis coordinator status` and `watch`: how runs stand, for people and for scripts."""

import json
import time
from typing import TYPE_CHECKING

import click

from deploy.coordinator.home import CoordinatorHome

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from deploy.coordinator.runs import Standing

EXIT_STATUS = {"finished": 0, "failed": 1, "running": 3, "interrupted": 4}
_EPILOG = """\b
Exit status, with RUN: 0 finished, 3 running, 4 interrupted (willis coordinator resume RUN), 1 failed or an error.
Without RUN: 0.
"""


@click.command(epilog=_EPILOG)
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="For scripts: one JSON object for RUN, a list without.")
@click.pass_context
def status(ctx: click.Context, run: str | None, as_json: bool) -> None:
    """Show how all runs stand, or one RUN with what to do next."""
    from deploy.coordinator.runs import standing, standings
    from deploy.coordinator.screen import runs_table

    home: CoordinatorHome = ctx.obj
    if run is None:
        runs = standings(home)
        if as_json:
            click.echo(json.dumps([_json(one) for one in runs], ensure_ascii=False))
        else:
            _console().print(runs_table(runs) if runs else "no run yet; willis coordinator run begins one")
        return
    one = standing(home, run)
    if as_json:
        click.echo(json.dumps(_json(one), ensure_ascii=False))
    else:
        _console().print(_screen(home, one))
    ctx.exit(EXIT_STATUS[one.status.state])


@click.command(epilog=_EPILOG)
@click.argument("run", required=False)
@click.option(
    "--every", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds between two looks."
)
@click.pass_context
def watch(ctx: click.Context, run: str | None, every: float) -> None:
    """Follow RUN, or the one that is running, until it ends. Ctrl-C stops watching, not the run."""
    from rich.live import Live

    from deploy.coordinator.runs import standing
    from deploy.coordinator.screen import line

    home: CoordinatorHome = ctx.obj
    name = run or _running(home)
    one = standing(home, name)
    console = _console()
    if console.is_terminal and not console.is_dumb_terminal:
        with Live(_screen(home, one), console=console, auto_refresh=False) as live:
            while one.status.state == "running":
                time.sleep(every)
                one = standing(home, name)
                live.update(_screen(home, one), refresh=True)
    else:
        said = ""
        while True:
            if (now := line(one)) != said:
                click.echo(said := now)
            if one.status.state != "running":
                break
            time.sleep(every)
            one = standing(home, name)
    ctx.exit(EXIT_STATUS[one.status.state])


def _running(home: CoordinatorHome) -> str:
    """Return the run to watch where none was named: the one that wrote last of those that run."""
    from deploy.coordinator.runs import standings
    from shared.errors import UsageError

    running = [one for one in standings(home) if one.status.state == "running"]
    if not running:
        raise UsageError(f"{home.path}: no run is running; willis coordinator status shows those there are")
    return max(running, key=lambda one: one.status.updated).name


def _screen(home: CoordinatorHome, run: "Standing") -> "RenderableType":
    from deploy.coordinator.accounts import site_budgets
    from deploy.coordinator.screen import events_table, screen
    from deploy.observed import ledger_events

    events = ledger_events(home.federation.ledger_file)
    plan = home.run(run.name)
    name = plan.plan().run if plan.plan_file.exists() else ""
    return screen(run, site_budgets(events), events_table(events, name))


def _json(run: "Standing") -> dict[str, object]:
    from deploy.coordinator.screen import what_next

    asked = {"run": run.name, "recipe": run.job.recipe, "variant": run.job.variant, "preset": run.job.preset}
    told = {"rounds_planned": run.job.rounds, "seconds_left": run.seconds_left, "next": what_next(run)}
    return asked | run.status.model_dump(mode="json") | told


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, markup=False)
