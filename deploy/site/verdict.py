"""Whether a site runs what a message asks for: an app approved as it is, told nothing that it may not be."""

import hashlib

from flwr.supercore.constant import TaskType
from flwr.supercore.fab import Fab
from flwr.supercore.run import Run

from deploy.bundle import RUN_FOLDER
from deploy.site.approvals import Approvals
from deploy.site.contents import read_bundle
from shared.errors import UsageError

SHOWN = 200  # characters of a coordinator's words that are written down


def objection(run: Run, fab: Fab, approvals: Approvals) -> str:
    """Return why a site refuses, or "".

    What is hashed is what would run. The rest of what the SuperLink says must agree with it, for Flower finds the
    unpacked app by the id, version and hash that the SuperLink names, and starts another program for another type.

    Args:
        run: as the SuperLink describes it.
        fab: the bundle as it was sent.
        approvals: the hospital's word.
    """
    hash_ = hashlib.sha256(fab.content).hexdigest()
    try:
        approved = approvals.is_approved(hash_)
        contents = read_bundle(fab.content)
    except UsageError as err:
        return str(err)
    if not approved:
        return "the bundle is not approved here"
    if not run.fab_hash == fab.hash_str == hash_:
        return "the bundle is not the one the run names"
    if (run.fab_id, run.fab_version) != (contents.app_id, contents.version):
        return f"the run names another app: {run.fab_id!r:.{SHOWN}} {run.fab_version!r:.{SHOWN}}"
    if run.primary_task_type not in ("", TaskType.SERVER_APP):
        return f"the run is of another kind: {run.primary_task_type!r:.{SHOWN}}"
    return _beyond_policy(run)


def _beyond_policy(run: Run) -> str:
    """Return which run setting no site takes from a coordinator, or ""."""
    for name, value in sorted(run.override_config.items()):
        if name != RUN_FOLDER or not isinstance(value, str):
            return f"the run sets {name!r:.{SHOWN}} to {value!r:.{SHOWN}}; only {RUN_FOLDER} may be set"
    return ""
