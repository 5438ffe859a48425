"""The tables of `kossen_ch7`: how near networks' perfusion maps come to a teacher's and to the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.evaluation.bootstrap import Scores
from shared.imaging.perfusion.maps import UNITS
from shared.imaging.scan import Role
from simulations.studies import papers
from simulations.studies.cells import Done
from simulations.studies.rows import Row, minus
from simulations.studies.tables import Column, Spread, Table, Value

NAME = "kossen-ch7"
FIRST, SECOND = "first", "second"  # where test patients are from
CONSTANT, UNSMOOTHED, SMOOTHED = "constant", "unsmoothed", "smoothed"
PUBLIC, PUBLIC_FINE = "public", "public-fine"  # networks that have seen no patient
TUNED = "tuned-"  # before the key of a row: after fine-tuning at the second site
YARDSTICKS = {
    CONSTANT: "a constant: the training patients' median",
    PUBLIC: "temp-pix2pix, of public phantoms alone (free)",
    PUBLIC_FINE: "temp-pix2pix-fine, of public phantoms alone (free)",
    UNSMOOTHED: "deconvolution (oSVD), unsmoothed",
    SMOOTHED: "deconvolution (oSVD), smoothed: the teacher",
}
LATE = "late"
MAPS = tuple(UNITS)
_HELD_TO_TEACHER = "taught"
_FINE = ("fine", "few")  # keys of the networks that begin as `PUBLIC_FINE`
_NO_PRIVACY = {
    CONSTANT: "none: of training patients, without a mechanism",
    PUBLIC: "free: no patient",
    PUBLIC_FINE: "free: no patient",
}


@dataclass(frozen=True)
class Found:
    """Everything the cells found, ready to be asked."""

    seeds: int
    networks: Sequence[Row]
    compared: Mapping[tuple[str, str, int], Done]  # by key, site and seed
    marks: Mapping[str, Mapping[str, Mapping[str, str]]]  # by site and patient
    claims: Mapping[str, str]  # by key of a network
    failed: Mapping[str, int]  # sessions in which the teacher failed, by cohort

    def patients(self, site: str, *, taught: bool = False) -> list[str]:
        """Return the test patients of whom everyone made maps."""
        keys = {
            key for key, where, _ in self.compared if where == site and key.startswith(_HELD_TO_TEACHER) == taught
        }
        keys = {key for key in keys if not key.startswith(TUNED + _HELD_TO_TEACHER)} if not taught else keys
        results = [self.compared[key, site, 1].result for key in keys]
        return sorted(
            set.intersection(*(set(k for k, v in result.items() if v is not None) for result in results))
        )

    def scores(self, key: str, site: str, role: str, measure: str, patients: Sequence[str]) -> Scores:
        """Return a measure as (seeds, patients)."""
        results = [self.compared[key, site, seed].result for seed in range(1, self.seeds + 1)]
        return np.array([[result[name][role][measure] for name in patients] for result in results], np.float64)

    def privacy(self, key: str) -> str:
        """Return what a way costs whose patients; of all seeds alike."""
        if key.startswith(TUNED):
            first, second = self.claims[key.removeprefix(TUNED)], self.claims[key]
            return f"first hospitals: {first}; second site: {second}"
        return self.claims.get(key, _NO_PRIVACY.get(key, "none: patients' maps themselves are made"))

    def of_truth(self) -> list[tuple[str, str]]:
        """Return key and name of everything held to the truth, yardsticks first."""
        mine = [(row.key, row.name) for row in self.networks if not row.key.startswith(_HELD_TO_TEACHER)]
        return [*YARDSTICKS.items(), *mine]

    def notable(self) -> dict[str, tuple[str, str]]:
        """Return test patients to look at, with what is to be said of each: best, worst, and one who moved."""
        patients = self.patients(FIRST)
        ours = [row for row in self.networks if row.epsilon is None and not row.key.startswith(_HELD_TO_TEACHER)]
        key, name = ours[-1].key, ours[-1].name
        errors = self.scores(key, FIRST, Role.TMAX.value, "brain_nrmse", patients).mean(axis=0)
        chosen = {
            "best": (patients[int(errors.argmin())], f"the test patient in whom Tmax of {name} is best"),
            "worst": (patients[int(errors.argmax())], f"the test patient in whom Tmax of {name} is worst"),
        }
        moving = [name for name in patients if self.marks[FIRST][name]["motion"] == "yes"]
        if moving:
            chosen["motion"] = moving[0], "a test patient who moved during the series"
        return chosen


def published_table(found: Found) -> Table:
    """Return the paper's measures of networks that learnt from the teacher, against the teacher."""
    columns = (
        Column("map"),
        Column("network"),
        Column("patients of"),
        Column("MAE", 3),
        Column("NRMSE", 3),
        Column("PSNR, dB", 1),
        Column("SSIM", 3),
        Column("paper: SSIM", 3),
        Column("SSIM inside the brain", 3),
    )
    lines: list[tuple[Value, ...]] = []
    for role in MAPS:
        for site, prefix, paper in ((FIRST, "", papers.MAPS_ACUTE), (SECOND, TUNED, papers.MAPS_SECOND_SITE)):
            patients = found.patients(site, taught=True)
            for row in found.networks:
                if row.key.startswith(_HELD_TO_TEACHER):
                    of = [
                        Spread.of(found.scores(prefix + row.key, site, role.value, measure, patients).mean(axis=0))
                        for measure in ("mae", "nrmse", "psnr", "ssim", "brain_ssim")
                    ]
                    where = "first hospitals" if site == FIRST else "second site, after fine-tuning"
                    lines.append(
                        (role.value, row.variant, where, *of[:4], paper.get((role.value, row.variant)), of[4])
                    )
    notes = (
        "As the paper measures: whole slices scaled to [-1, 1] by fixed windows, background included, against the "
        "teacher's maps; mean ± SD over patients. The paper's images are scaled by the training set's own range, "
        "so its figures are of another scale: compare order.",
        f"The teacher: oSVD, in-plane smoothing of one pixel; it failed in {sum(found.failed.values())} sessions "
        "of all cohorts, which are left out.",
    )
    return Table(NAME, "Kossen et al. 2023: maps against the teacher's", columns, tuple(lines), notes)


def truth_table(found: Found) -> Table:
    """Return how far maps are from the truth inside the brain, beside what costs nothing."""
    return _against_truth(found, FIRST, f"{NAME}-truth", "Maps against the truth, inside the brain")


def second_table(found: Found) -> Table:
    """Return the same at hospitals that no network was trained at, before and after fine-tuning there."""
    return _against_truth(found, SECOND, f"{NAME}-second", "The same at other hospitals, before and after tuning")


def _against_truth(found: Found, site: str, name: str, title: str) -> Table:
    columns = (
        Column("map"),
        Column("by"),
        Column("privacy"),
        Column("mean absolute error", 2),
        Column("bias", 2, signed=True),
        Column("minus the constant (95 % CI)", 2, signed=True),
        Column("minus the teacher (95 % CI)", 2, signed=True),
        Column("minus public phantoms alone (95 % CI)", 2, signed=True),
        Column("SSIM inside the brain", 3),
    )
    patients = found.patients(site)
    ways = found.of_truth()
    if site == SECOND:
        mine = {row.key for row in found.networks}
        ways += [(TUNED + key, f"{name}, tuned") for key, name in ways if key in mine]
    lines: list[tuple[Value, ...]] = []
    for role in MAPS:
        errors = {key: found.scores(key, site, role.value, "brain_mae", patients) for key, _ in ways}
        for key, way in ways:
            of = {
                m: found.scores(key, site, role.value, m, patients).mean(axis=0)
                for m in ("brain_bias", "brain_ssim")
            }
            lines.append(
                (
                    f"{role.value} ({UNITS[role]})",
                    way,
                    found.privacy(key),
                    Spread.of(errors[key].mean(axis=0)),
                    float(of["brain_bias"].mean()),
                    None if key == CONSTANT else minus(errors[key], errors[CONSTANT]),
                    None if key == SMOOTHED else minus(errors[key], errors[SMOOTHED]),
                    None if key in (PUBLIC, PUBLIC_FINE) else minus(errors[key], errors[_start_of(key)]),
                    Spread.of(of["brain_ssim"]),
                )
            )
    notes = (
        f"{len(patients)} test patients, of tissue where the truth has flow; mean ± SD over patients. Below zero "
        "is nearer to the truth.",
        "A network that learnt from patients' maps is not private, whatever it draws, unless its row says so.",
        "Public phantoms alone: the network of the same kind, as it is before its first patient.",
        "Deconvolution's CBF and CBV are put to scale by each patient's true median, which in life nobody has.",
        "Research use only; not for diagnosis.",
    )
    return Table(name, title, columns, tuple(lines), notes)


def _start_of(key: str) -> str:
    """Return the network that has seen no patient to which a row's gain is owed to patients."""
    return PUBLIC_FINE if key.removeprefix(TUNED) in _FINE else PUBLIC


def late_table(found: Found) -> Table:
    """Return what every way calls hypoperfused."""
    columns = (
        Column("by"),
        Column("patients of"),
        Column("Dice of Tmax > 6 s", 3),
        Column("volume too large by, ml", 1, signed=True),
        Column("volume off by, ml", 1),
    )
    lines: list[tuple[Value, ...]] = []
    for site in (FIRST, SECOND):
        patients = found.patients(site)
        for key, way in found.of_truth():
            dice, ours, true = (
                found.scores(key, site, LATE, m, patients).mean(axis=0) for m in ("dice", "found_ml", "true_ml")
            )
            where = "first hospitals" if site == FIRST else "second site, untuned"
            with_late = true > 0
            lines.append(
                (
                    way,
                    where,
                    Spread.of(dice[with_late]) if with_late.any() else None,
                    float((ours - true).mean()),
                    float(np.abs(ours - true).mean()),
                )
            )
    notes = ("Dice of test patients who have tissue above 6 s; volumes of all.",)
    return Table(f"{NAME}-late", "Tissue with a Tmax above 6 s", columns, tuple(lines), notes)


def apart_table(found: Found) -> Table:
    """Return errors of patients who moved, or whose artery is a bad one, apart from the others'."""
    columns = (
        Column("test patients"),
        Column("number"),
        Column("by"),
        *(Column(f"{role.value}: error", 2) for role in MAPS),
        Column("no maps made"),
    )
    everyone = {(site, name): mark for site in (FIRST, SECOND) for name, mark in found.marks[site].items()}
    groups = {
        "who lay still, with a good artery": [
            at for at, m in everyone.items() if (m["motion"], m["aif"]) == ("no", "good")
        ],
        "who moved": [at for at, m in everyone.items() if m["motion"] == "yes"],
        "whose artery is a bad one": [at for at, m in everyone.items() if m["aif"] != "good"],
    }
    lines: list[tuple[Value, ...]] = []
    for group, members in groups.items():
        for key, way in found.of_truth():
            results = [found.compared[key, site, 1].result[name] for site, name in members]
            made = [result for result in results if result is not None]
            means = [np.mean([one[role.value]["brain_mae"] for one in made]) if made else None for role in MAPS]
            lines.append(
                (
                    group,
                    str(len(members)),
                    way,
                    *(None if m is None else float(m) for m in means),
                    str(len(results) - len(made)),
                )
            )
    notes = ("Mean absolute error inside the brain, first seed, both sites, networks untuned.",)
    return Table(f"{NAME}-apart", "Motion and bad arteries", columns, tuple(lines), notes)
