"""The checks of an audit that read a run's files: hospitals' own ledgers, the checkpoint.

Every function returns one finding and raises nothing foreseen: what cannot be read is a finding too.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from shared.canonical import digest_arrays
from shared.errors import WillisError
from shared.ledger.events import Reserve, Run, Settle
from shared.ledger.finding import Finding
from shared.ledger.log import SignedEvent, bound, parse
from shared.ledger.view import view

_WRONG_FORM = (ValueError, LookupError, TypeError, AttributeError, RecursionError)  # what JSON by others leads to
_UNREADABLE = (WillisError, SafetensorError, OSError, *_WRONG_FORM)


def guarded(check: str, question: Callable[[], Finding]) -> Finding:
    """Return the answer to `question`; what could not be read failed."""
    try:
        return question()
    except _UNREADABLE as err:
        return Finding(check, False, " ".join(str(err).split())[:300] or type(err).__name__)


def check_site(site: Path, events: Sequence[SignedEvent]) -> Finding:
    """Check that what a hospital's own ledger says of the runs in this one is what this one says it said."""
    check = f"the ledger says of {site.name} what its own ledger says"

    def compare() -> Finding:
        path = site / ".willis" / "ledger.jsonl"
        own = parse(path.read_bytes().splitlines(), str(path))
        runs = {s.event.run for s in events if isinstance(s.event, Run)}
        here = [signed for signed in events if bound(signed.event) == site.name]
        problems = [
            f"{s.event.type} of {s.event.run[:12]} is missing here"
            for s in own
            if isinstance(s.event, Reserve | Settle) and s.event.run in runs and s not in here
        ]
        foreign = [s for s in here if s not in own]
        problems += [f"{s.event.type} is unknown to {site.name}" for s in foreign]
        return Finding.of(check, problems, f"{len(here)} entries")

    return guarded(check, compare)


def check_model(run_dir: Path, events: Sequence[SignedEvent], run: str) -> Finding:
    """Check that the newest checkpoint holds the model the last round's entry names."""
    check, rounds = "the checkpoint is the model of the last round", view(events, run).rounds
    files = sorted((run_dir / "checkpoints").glob("round-*.safetensors"))
    if not files or not rounds:
        return Finding(check, None, "there is no checkpoint in this copy, or no round yet")

    def compare() -> Finding:
        with safe_open(files[-1], framework="numpy") as file:
            number = (file.metadata() or {}).get("round")
            model = digest_arrays({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        last = rounds[-1]
        problems = [f"it is of round {number}, the ledger's last is {last.round}"] * (number != str(last.round))
        problems += [f"{files[-1].name}: the weights are not those in the ledger"] * (model != last.model)
        return Finding.of(check, problems, f"round {last.round}, model {model[:12]}")

    return guarded(check, compare)
