"""Other records of what was spent on the same images. A cap counts what its own home keeps, and nothing else.

The cohort may be readable only, so no mark is left in it. What can be known is a ledger in the cohort's folder,
where simulations and queries keep theirs, and the homes beside this one.
"""

import os
from contextlib import suppress
from pathlib import Path

from deploy.site.home import SETTINGS_FILE, SiteHome
from shared.errors import UsageError

REMEDY = (
    "if it is this hospital's, move the .willis it lies in into this home; else use other images. For another "
    "federation use the same home: willis site join --leave"
)


def other_ledgers(home: SiteHome, cohort: Path) -> list[Path]:
    """Return the ledgers known here, but the home's own, that may hold spending on the images in `cohort`."""
    found = [SiteHome(cohort).ledger_file]
    for file in sorted(home.path.parent.glob(f"*/{SETTINGS_FILE}")):
        other = SiteHome(file.parent)
        with suppress(UsageError):  # somebody's broken settings are not ours to mend
            if other.cohort.resolve() == cohort.resolve():
                found.append(other.ledger_file)
    own = home.ledger_file.resolve()
    return [path for path in found if os.access(path, os.F_OK) and path.resolve() != own]


def not_counted(ledger: Path) -> str:
    """Return what a ledger elsewhere means."""
    return f"{ledger}: what was spent on these images there does not count towards the cap here"
