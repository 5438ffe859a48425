"""What a check found, and checks that rest on others: what follows from a failure is not reported as another."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import CohortError, WillisError

OF_IMAGES = "the images are not as they must be"  # the error itself may name files, hence patients
SEE_SCREEN = "mend what `willis site preflight` names on the screen, without --json"


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


def warning(said: str, remedy: str, *, aside: str = "") -> Finding:
    """Return that something should be seen to."""
    return Finding(Standing.WARNING, said, remedy, aside)


def problem(said: str, remedy: str, *, aside: str = "") -> Finding:
    """Return that something does not work."""
    return Finding(Standing.PROBLEM, said, remedy, aside)


def _look(check: Check) -> Finding:
    try:
        return check.look()
    except CohortError as err:
        return problem(OF_IMAGES, SEE_SCREEN, aside=str(err))
    except WillisError as err:
        said, _, remedy = str(err).partition("; ")  # as all our errors are put
        return problem(said, remedy)
    except OSError as err:
        said = err.strerror or type(err).__name__
        return problem(said, "change permissions, or free space", aside=str(err.filename or ""))
