"""Checks of the hospital's own machine: folders, policy, ledger, patients, room."""

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch

from client.cohort import Cohort
from client.policy import Policy
from deploy.site.approvals import Approvals
from deploy.site.elsewhere import REMEDY, not_counted, other_ledgers
from deploy.site.findings import OF_IMAGES, SEE_SCREEN, Check, Finding, ok, problem, warning
from deploy.site.home import SiteHome
from deploy.site.joined import read_joined
from shared.errors import CohortError
from shared.privacy.accounting import PrivacyCost
from shared.privacy.events import Relation, Unit
from shared.recipes.catalogue import catalogue

LEAST_BYTES = 100 * 10**6  # free for ledger and keys; without them nothing may be spent
LOGS = 4  # log files at a site: sidecar, SuperNode, SuperExec, `up`
LEAST_MEMORY = 2 * 10**9  # Flower's two programs, sidecar and app take 1.0 GB before any image or network
_MEMORY = Path("/proc/meminfo")


def folder_checks(home: SiteHome) -> list[Check]:
    """Return the checks, each after those it rests on."""
    return [
        Check("policy", lambda: policy_check(home)),
        Check("terms", lambda: terms_check(home), ("centre", "policy")),
        Check("cohort", lambda: cohort_check(home), ("policy",)),
        Check("ledger", lambda: ledger_check(home)),
        Check("elsewhere", lambda: elsewhere_check(home)),
        Check("bundle", lambda: bundle_check(home)),
        Check("disk", lambda: disk_check(home)),
        Check("memory", memory_check),
        Check("GPU", gpu_check),
    ]


def centre_check(home: SiteHome) -> Finding:
    """Say which centre was joined.

    Raises:
        UsageError: as `read_joined`.
    """
    centre = read_joined(home)
    return ok(f"{centre.name} at {home.settings.coordinator}, ledger key {centre.signing_key[:16]}")


def policy_check(home: SiteHome) -> Finding:
    """Read the policy.

    Raises:
        WillisError: it is not valid.
    """
    policy, cap = home.policy, home.policy.cap
    if policy.allow_seeded_noise or policy.allow_non_private or policy.allow_patch_unit:
        said = "allows what is meant for simulations: seeded noise, none, or a unit that protects no patient"
        return warning(said, "take the allow_... lines out of policy.toml")
    limit = f"over all runs, by the filter of order {cap.order}"
    return ok(f"at most {PrivacyCost(cap.epsilon, cap.delta, Unit.PATIENT, Relation.ADD_REMOVE, limit)}")


def terms_check(home: SiteHome) -> Finding:
    """Compare the policy's δ with the one that all runs of the federation have."""
    here, agreed = home.policy.delta, read_joined(home).delta
    if here != agreed:
        said = f"δ is {here:g} here and {agreed:g} in the federation: every run would be refused"
        return problem(said, "agree on one; here it is delta in policy.toml")
    return ok(f"δ = {here:g} here and in the federation")


def cohort_check(home: SiteHome) -> Finding:
    """Look for the patients of every recipe that the policy allows.

    Raises:
        CohortError: no recipe finds any.
    """
    found, why = {}, {}
    for name in home.policy.recipes or catalogue():
        try:
            found[name] = _readable(home, name)
        except CohortError as err:
            why[name] = err
    if not found:
        raise next(iter(why.values()))
    return judged_cohorts(home.policy, {name: len(cohort.ids) for name, cohort in found.items()}, why)


def judged_cohorts(policy: Policy, patients: dict[str, int], why: dict[str, CohortError]) -> Finding:
    """Return how the cohort stands: patients by recipe, and what recipes named in the policy lack."""
    few = [name for name, count in patients.items() if count < policy.min_patients]
    if few:
        said = f"{', '.join(few)}: fewer patients than min_patients of the policy: runs would be refused"
        return problem(said, "add patients, or lower min_patients in policy.toml")
    if policy.recipes and why:
        name, error = next(iter(why.items()))
        return warning(f"{name}: {OF_IMAGES}", SEE_SCREEN, aside=str(error))
    counts = ", ".join(f"{name} {count}" for name, count in patients.items())
    return ok(f"readable, for {', '.join(patients)}", aside=f"patients: {counts}")


def ledger_check(home: SiteHome) -> Finding:
    """Check what was kept of earlier runs, and that more can be.

    Raises:
        WillisError: something is damaged or missing.
        OSError: nothing can be written.
    """
    home.site.check_state()
    with tempfile.NamedTemporaryFile(dir=home.path, prefix=".preflight-") as file:
        file.write(b"0")
        file.flush()
        os.fsync(file.fileno())
    return ok("whole, and its folder can be written")


def elsewhere_check(home: SiteHome) -> Finding:
    """Warn of spending on the same images that this home does not count."""
    for ledger in other_ledgers(home, home.cohort):
        return warning(not_counted(ledger), REMEDY)
    return ok("no other ledger of these images is known here")


def bundle_check(home: SiteHome) -> Finding:
    """Say whether an app bundle is approved.

    Raises:
        UsageError: the file of decisions is damaged.
    """
    approved = Approvals(home.bundles).approved()
    if not approved:
        return warning("none is approved yet", "`willis site review`, then approve, once the centre has sent one")
    return ok(f"approved: {', '.join(hash_[:12] for hash_ in approved)}")


def disk_check(home: SiteHome) -> Finding:
    """Compare the disk's free space with what ledger and logs may take."""
    free = shutil.disk_usage(home.path).free
    logs = LOGS * home.settings.log_megabytes * (home.settings.log_files + 1) * 10**6
    said = f"{free / 1e9:.1f} GB free"
    if free < LEAST_BYTES:
        return problem(f"{said}: a reservation could not be written", "free space")
    if free < LEAST_BYTES + logs:
        return warning(
            f"{said}, and logs may take {logs / 1e9:.1f} GB", "free space, or lower log_files in site.toml"
        )
    return ok(said)


def memory_check() -> Finding:
    """Compare the memory that is free for programs with what a small run takes."""
    lines = dict(line.split(":", 1) for line in _lines(_MEMORY))
    if "MemAvailable" not in lines:
        return ok("not told by this system")
    free = 1024 * int(lines["MemAvailable"].split()[0])  # given in KiB
    said = f"{free / 1e9:.1f} GB available"
    if free < LEAST_MEMORY:
        return warning(
            said, f"a small run takes up to {LEAST_MEMORY / 1e9:g} GB; end other programs, or add memory"
        )
    return ok(said)


def gpu_check() -> Finding:
    """Say what training will compute on; either will do."""
    if not torch.cuda.is_available():
        return ok("none: training runs on the processor")
    gpus = (torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count()))
    return ok(", ".join(f"{gpu.name}, {gpu.total_memory / 1e9:.0f} GB" for gpu in gpus))


def _readable(home: SiteHome, recipe: str) -> Cohort:
    """Return the patients of a recipe, whose files this user may all read."""
    known = catalogue()
    if recipe not in known:
        raise CohortError(f"{recipe}: no such recipe; correct recipes in policy.toml")
    if not os.access(home.cohort, os.R_OK | os.X_OK):
        raise CohortError(
            f"{home.cohort}: missing or not readable; correct cohort in site.toml, or its permissions"
        )
    cohort = home.site.cohort(next(iter(known[recipe].values())).roles)
    for sessions in cohort.patients.values():
        for path in (path for session in sessions for path in session.values()):
            if not os.access(path, os.R_OK):
                raise CohortError(f"{path}: not readable; give the user that runs `up` the right to read it")
    return cohort


def _lines(path: Path) -> Iterable[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
