"""`python -m benchmarks.report_render`: how long the budget report of a large federation takes, and its size.

The ledger is made in memory: every site reserves the same plan, a tenth of the sites misses rounds at random
(from a fixed seed) and an update is refused here and there; every third site has an earlier run. Told
apart are the
figures (accountants; their results are kept, so each size is priced from nothing) and the page.
"""

import random
import time

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from server.report.build import build_report, report_bytes, second_opinion
from server.report.page import render_page
from shared.canonical import digest
from shared.ledger.events import Cap, Enrol, Event, Federation, Past, Refuse, Reserve, Round, Run, Settle
from shared.ledger.log import SignedEvent, bound, event_bytes
from shared.privacy import accounting, crosscheck
from shared.privacy.events import NoiseSource, SampledGaussian, Spending
from shared.privacy.filter import order_for

SIZES = ((10, 50), (50, 250), (100, 500))
DELTA, CAP = 1e-5, 20.0
EARLIER = Spending.of(SampledGaussian(noise_multiplier=3.0, sampling_rate=0.2, steps=200))


@click.command()
def main() -> None:
    """Print seconds and sizes for several sizes of federation."""
    table = Table("sites", "rounds", "entries", "figures s", "page s", "report.json kB", "index.html kB")
    table.box = SIMPLE_HEAD
    for sites, rounds in SIZES:
        table.add_row(*_measure(sites, rounds))
    Console(highlight=False).print(table)


def _measure(sites: int, rounds: int) -> list[str]:
    events, run = ledger(sites, rounds)
    for cached in (accounting._pld_epsilon, crosscheck._rdp_epsilon, crosscheck._prv_epsilon):
        cached.cache_clear()
    start = time.perf_counter()
    report = build_report(events, run, second_opinion())
    figures = time.perf_counter()
    page = render_page(report).encode()
    end = time.perf_counter()
    sizes = [f"{len(data) / 1e3:.0f}" for data in (report_bytes(report), page)]
    return [str(sites), str(rounds), str(len(events)), f"{figures - start:.1f}", f"{end - figures:.2f}", *sizes]


def ledger(sites: int, rounds: int) -> tuple[list[SignedEvent], str]:
    """Return the entries of a run of `sites` by `rounds` (signatures left out: nothing here reads them), "
    "and its id."""
    draw, names = random.Random(1), [f"hospital-{index:03d}" for index in range(sites)]
    plan = Spending.of(SampledGaussian(noise_multiplier=6.0, sampling_rate=0.2, steps=10 * rounds))
    run = _run(rounds, plan)
    events: list[Event] = [Federation(public_key="0" * 64, delta=DELTA, overlap=2)]
    events += [Enrol(site=n, public_key="0" * 64, patients=50, cohort=digest(n.encode())) for n in names]
    events.append(run)
    events += [_reserve(run, name, earlier=index % 3 == 0) for index, name in enumerate(names)]
    for number in range(1, rounds + 1):
        missing = {name for name in names[::10] if draw.random() < 0.3}
        events += [_refusal(run, name, number) for name in sorted(missing) if draw.random() < 0.2]
        averaged = tuple(name for name in names if name not in missing)
        events.append(Round(run=run.run, round=number, sites=averaged, model=digest(bytes(str(number), "ascii"))))
    events += [Settle(run=run.run, site=name, rounds=rounds, spending=plan) for name in names]
    return [SignedEvent(event=event, signer=bound(event), signature="") for event in events], run.run


def _run(rounds: int, plan: Spending) -> Run:
    return Run(
        run=digest(b"benchmark"),
        recipe="vessels-2d",
        variant="wgan",
        preset="small",
        rounds=rounds,
        steps_per_round=10,
        sampling_rate=0.2,
        clip_norm=1.0,
        records_per_patient=8,
        spending=plan,
        delta=DELTA,
        noise_source=NoiseSource.SYSTEM,
        public_seed=1,
        pretrained_on="",
        code=digest(b"code"),
    )


def _reserve(run: Run, site: str, *, earlier: bool) -> Reserve:
    past = Past(run="e" * 64, recipe=run.recipe, variant=run.variant, spending=EARLIER)
    return Reserve(
        run=run.run,
        site=site,
        cohort=digest(site.encode()),
        plan=digest(event_bytes(run)),
        recipe=run.recipe,
        variant=run.variant,
        spending=run.spending,
        delta=DELTA,
        cap=Cap(epsilon=CAP, delta=DELTA, order=order_for(CAP, DELTA)),
        past=(past,) if earlier else (),
        noise_source=NoiseSource.SYSTEM,
    )


def _refusal(run: Run, site: str, number: int) -> Refuse:
    reason = "the arrays are not the ones that were signed"
    return Refuse(run=run.run, site=site, by="coordinator", round=number, code="protocol", reason=reason)


if __name__ == "__main__":
    main()
