"""What a check found, and checks that rest on others: what follows from a failure is not reported as another."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import WillisError


class Standing(StrEnum):
    """How something stands."""

    OK = "OK"
    WARNING = "WARNING"  # it works, and something should be seen to
    PROBLEM = "PROBLEM"  # it does not work
    SKIPPED = "SKIPPED"  # it rests on something that does not


@dataclass(frozen=True)
class Finding:
    """One line of a preflight.

    Attributes:
        standing: how it stands.
        said: what was found; what is wrong, if something is.
        remedy: how to mend it; "" where there is nothing to mend.
        aside: what stays on the screen, and in nothing a script could send on.
    """

    standing: Standing
    said: str
    remedy: str = ""
    aside: str = ""


@dataclass(frozen=True)
class Check:
    """Something to look at; `needs` names what must not have failed before."""

    name: str
    look: Callable[[], Finding]
    needs: tuple[str, ...] = ()


def examine(checks: Sequence[Check]) -> Iterator[tuple[str, Finding]]:
    """Yield name and finding of one check after the other; an error of ours is a problem with its remedy."""
    failed: set[str] = set()
    for check in checks:
        missing = [name for name in check.needs if name in failed]
        finding = Finding(Standing.SKIPPED, f"needs: {missing[0]}") if missing else _look(check)
        if finding.standing in (Standing.PROBLEM, Standing.SKIPPED):
            failed.add(check.name)
        yield check.name, finding


def ok(said: str, *, aside: str = "") -> Finding:
    """Return that all is well."""
    return Finding(Standing.OK, said, aside=aside)


def warning(said: str, remedy: str) -> Finding:
    """Return that something should be seen to."""
    return Finding(Standing.WARNING, said, remedy)


def problem(said: str, remedy: str) -> Finding:
    """Return that something does not work."""
    return Finding(Standing.PROBLEM, said, remedy)


def _look(check: Check) -> Finding:
    try:
        return check.look()
    except WillisError as err:
        said, _, remedy = str(err).partition("; ")  # as all our errors are put
        return problem(said, remedy)
    except OSError as err:
        return problem(f"{err.filename}: {err.strerror}", "change its permissions, or free space")
