"""Stroke patients by two runs of one federation: a lesion generator, then a translator (Platscher et al., 2020).

Both runs are asked of the same cohorts, under one budget. Each is a run like any other, in a folder of its
own; the data set lies beside them, and claims what both cost. Budget for both is set aside before the first
trains: so neither plan was chosen because of the other's results, and they are priced together.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from server.run.asked import Asked
from server.run.coordinator import Extent
from server.run.drawing import LESIONS, TRANSLATOR
from server.run.folder import RunFolder
from shared.errors import UsageError, WillisError
from shared.files import write_durably
from shared.privacy.joint_budget import Steps, split_epsilon
from shared.recipes.settings import Setting
from simulations.engines import Engine
from simulations.federation import HOME, begin_run, check_empty, check_resumable, check_run, conduct_run, finish

CHAIN = "stroke-dwi"  # the recipe of `willis simulate` that is two runs
_RECIPES = {LESIONS: "lesions-3d", TRANSLATOR: "translate-2d"}
_SHARE = 0.5  # of the budget that goes to lesions; neither run is known to need more than the other


class _Chain(BaseModel):
    """What was asked, kept for `--resume`: never part of what is published."""

    cohorts: Path
    runs: dict[str, Asked]  # by folder, in this order


def start_chain(out: Path, cohorts: Path, asked: Asked, engine: Engine) -> None:
    """Start a chain in the empty folder `out` and take it to its data set.

    Raises:
        WillisError: as `simulations.federation.start_run`; what either run lacks is found before the first begins.
    """
    check_empty(out)
    runs = _both(asked, asked.federation_of(cohorts / HOME)[1])
    jobs = {name: check_run(cohorts, one) for name, one in runs.items()}  # of both, before anything is written
    kept = _Chain(cohorts=cohorts.resolve(), runs=runs)
    write_durably(_kept_file(out), kept.model_dump_json(indent=2).encode() + b"\n")
    for name, job in jobs.items():
        begin_run(out / name, kept.cohorts, runs[name], job)
    _conduct(out, kept, engine)


def resume_chain(out: Path, engine: Engine) -> None:
    """Continue a chain from wherever it stopped."""
    try:
        kept = _Chain.model_validate_json(_kept_file(out).read_bytes())
    except (OSError, ValueError) as err:
        raise UsageError(f"{_kept_file(out)}: damaged; restore it, it says what was asked") from err
    for name, asked in kept.runs.items():
        if RunFolder(out / name).job_file.exists():
            check_resumable(out / name)
        else:
            begin_run(out / name, kept.cohorts, asked, check_run(kept.cohorts, asked))
    _conduct(out, kept, engine)


def is_begun(out: Path) -> bool:
    """Return whether a chain was started in `out`."""
    return _kept_file(out).exists()


def _conduct(out: Path, kept: _Chain, engine: Engine) -> None:
    first, *others = (out / name for name in kept.runs)
    begun = RunFolder(first)
    # For patients at several sites there is no joint price (`server.report.federation`).
    if not begun.has_begun and begun.home.agree(None, None)[1] == 1:
        conduct_run(first, engine, Extent.RESERVE)
        try:
            for run in others:
                conduct_run(run, engine, Extent.RESERVE)
        except WillisError as err:
            conduct_run(first, engine, Extent.GIVE_BACK)
            raise type(err)(
                f"{err}; nothing was trained or spent: once that is mended, go on with --resume"
            ) from err
    for run in (first, *others):
        conduct_run(run, engine)
    finish(out)


def _both(asked: Asked, delta: float) -> dict[str, Asked]:
    """Return what is asked of each run."""
    asked.check_noise()
    settings = _by_run(asked.settings)
    runs = {
        name: replace(
            asked,
            recipe=recipe,
            variant=asked.variant if name == TRANSLATOR else None,
            settings=settings[name],
            federation=asked.federation and asked.federation.resolve(),
        )
        for name, recipe in _RECIPES.items()
    }
    if asked.epsilon is None:
        return runs
    shares = split_epsilon(asked.epsilon, delta, _steps(runs[LESIONS]), _steps(runs[TRANSLATOR]), _SHARE)
    return {name: replace(one, epsilon=part) for (name, one), part in zip(runs.items(), shares, strict=True)}


def _by_run(settings: Mapping[str, Setting]) -> dict[str, dict[str, Setting]]:
    """Return the settings of each run, which are asked for as `lesions.NAME` and `translator.NAME`.

    Raises:
        UsageError: a name begins with neither.
    """
    found: dict[str, dict[str, Setting]] = {name: {} for name in _RECIPES}
    for full, value in settings.items():
        run, _, name = full.partition(".")
        if run not in found or not name:
            raise UsageError(
                f"--set {full}={value}: {CHAIN} is two runs; say {LESIONS}.NAME=VALUE or {TRANSLATOR}.NAME=VALUE"
            )
        found[run][name] = value
    return found


def _steps(asked: Asked) -> Steps:
    schedule = asked.load().schedule
    return Steps(schedule.sampling_rate, (asked.rounds or schedule.rounds) * schedule.steps)


def _kept_file(out: Path) -> Path:
    return out / "chain.json"
