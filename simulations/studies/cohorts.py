"""The phantom hospitals of a study, made once; and for each run a federation of its own that points at them.

    OUT/cohorts/...      patients to train on, one folder for each draw
    OUT/held-out/...     other patients of the same hospitals, to test on
    OUT/second-site/...  hospitals that no run was trained on

A folder is named by what is in it, so that a study with other settings makes others and keeps these. A study
chooses nothing by what it finds, so it has no validation patients.
"""

import csv
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from client.cohort import COLUMNS, TABLE, find_cohort
from shared.imaging.scan import Role
from simulations.federation import find_sites
from simulations.hospitals.cohort import Plan, write_cohorts
from simulations.studies.cells import Report

HELD_OUT_DRAW = 0  # training draws have seeds from 1
SECOND_SITE = 4  # hospitals e and f: other scanners and protocols than a to d
SECOND_SITES = 2


@dataclass(frozen=True)
class Hospitals:
    """Who there is: phantom patients of one kind, at hospitals a, b, c, ... and, elsewhere, e and f."""

    sites: int  # hospitals that train, at most 4
    patients: int  # at each, to train on
    test_patients: int  # at each, to test on
    shape: tuple[int, int, int]  # voxels of an image
    second_learning: int = 0  # patients at each hospital of the second site, to learn from
    second_testing: int = 0  # and to test on
    kind: str = "tof"  # as `simulations.hospitals.cohort` names it
    test_draw: int = HELD_OUT_DRAW  # seed of the test patients

    def to_train(self, seed: int) -> Plan:
        """Return one draw of training patients."""
        return Plan(self.kind, self.sites, self.patients, seed, self.shape)

    def to_test(self) -> Plan:
        """Return the test patients of the same hospitals."""
        return replace(self.to_train(self.test_draw), patients=self.test_patients)

    def second_site(self, *, to_test: bool) -> Plan:
        """Return patients of the hospitals that no run is trained on."""
        patients, seed = (self.second_testing, HELD_OUT_DRAW) if to_test else (self.second_learning, 1)
        return Plan(self.kind, SECOND_SITES, patients, seed, self.shape, first_site=SECOND_SITE)


def phantoms(out: Path, folder: str, plan: Plan, jobs: int, report: Report) -> str:
    """Write the patients of a plan below `OUT/folder` if they are not there yet; return where, relative to OUT."""
    shape = "x".join(map(str, plan.shape))
    where = f"{folder}/{plan.sites}-sites-of-{plan.patients}-{shape}-draw-{plan.seed}"
    if not (out / where).exists():
        unfinished = out / f"{where}.part"
        shutil.rmtree(unfinished, ignore_errors=True)
        made = 0

        def count() -> None:
            nonlocal made
            made += 1
            report(f"phantoms: {folder}", made, plan.sites * plan.patients)

        write_cohorts(plan, unfinished, jobs, count)
        unfinished.rename(out / where)
    return where


def federate(cohorts: Path, into: Path, roles: Sequence[Role]) -> None:
    """Make a federation below `into`: one folder a site, whose `cohort.csv` points at the site's images.

    The sites' ledgers, keys and policies lie in the new folders, so that runs on the same images are federations
    of their own and do not add up.

    Raises:
        CohortError: `cohorts` holds no sites, or one that lacks files.
    """
    for site in find_sites(cohorts):
        cohort = find_cohort(site, roles)
        (into / site.name).mkdir(parents=True)
        with (into / site.name / TABLE).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            columns = [column for column, role in COLUMNS.items() if role in roles]
            table.writerow(["patient", "session", *columns])
            for patient in cohort.ids:
                for number, session in enumerate(cohort.patients[patient], start=1):
                    files = (session[COLUMNS[column]].resolve() for column in columns)
                    table.writerow([patient, number, *files])
