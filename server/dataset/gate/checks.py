"""The checks of the cases: figures in, answers out, each with what to do. Pure, but for public simulators."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from server.dataset.gate.alike import images_alike, is_comparable, shapes_alike
from server.dataset.gate.figures import Figures
from server.dataset.gate.public import Likeness, public_brightness, public_images, public_lesions
from shared.imaging.scan import Role
from shared.ledger.events import Check

CONSTANT, TWICE, COLLAPSE = "nothing is constant", "no case twice", "cases differ"
BRIGHT, MAPS = "labels lie where the image is bright", "perfusion maps are possible"
NAMED = 3  # cases named in one check; the rest is counted


def check_figures(cases: Sequence[Figures]) -> tuple[Check, ...]:
    """Return the answers for a data set of one case or more; of perfusion maps only where there are some."""
    checks = (not_constant(cases), not_twice(cases), not_collapsed(cases), labels_fit(cases))
    with_maps = [case for case in cases if any(role.is_map for role in case.digests)]
    return (*checks, maps_possible(with_maps)) if with_maps else checks


def not_constant(cases: Sequence[Figures]) -> Check:
    """Check that no image has one value only, and that every label is drawn in some case."""
    found = [f"{case.name} {role.value}" for case in cases for role in case.flat]
    labels = {role for case in cases for role in case.labelled}
    empty = [role.value for role in sorted(labels) if not any(case.labelled.get(role) for case in cases)]
    found += [f"{role}, empty in all {len(cases)} cases" for role in empty]
    wrong = f"of one value: {_some(found)}; the generator is broken: train again, or publish an earlier model"
    return Check(name=CONSTANT, passed=not found, words=wrong if found else f"{len(cases)} cases")


def not_twice(cases: Sequence[Figures]) -> Check:
    """Check that no two cases share an image, voxel by voxel, or a mask where there are no images."""
    known: dict[tuple[Role, str], list[str]] = defaultdict(list)
    for case in cases:
        for role, digest in case.digests.items():
            known[role, digest].append(case.name)
    found = [
        f"{role.value} of {' = '.join(names[:NAMED])}" for (role, _), names in known.items() if len(names) > 1
    ]
    wrong = f"the same: {_some(found)}; the generator ignores its random numbers: train again"
    return Check(name=TWICE, passed=not found, words=wrong if found else f"{len(cases)} cases, compared whole")


def not_collapsed(cases: Sequence[Figures]) -> Check:
    """Check that two cases are on average nearer to two public cases than to one case drawn twice."""
    edge = min(case.edge for case in cases)
    measured: list[tuple[str, float, Likeness]] = []
    for role in sorted({role for case in cases for role in case.slices}):
        slices = [case.slices[role] for case in cases if role in case.slices]
        if len(slices) > 1 and is_comparable(edge):
            mean = float(images_alike(slices, edge).mean())
            measured.append((f"{role.value}, SSIM", mean, public_images(role, edge)))
    shapes = [case.lesion for case in cases if case.lesion is not None]
    if len(shapes) > 1:
        measured.append(("lesions, centred, Dice", float(shapes_alike(shapes).mean()), public_lesions()))
    collapsed = any(mean > public.most for _, mean, public in measured)
    said = (
        f"{what} of pairs {mean:.2f} on average, of public cases {public.mean:.2f}, so at most {public.most:.2f}"
        for what, mean, public in measured
    )
    words = "; ".join(said) or "not measured: one case, or images of less than 11 voxels, have no pairs to compare"
    remedy = "; the generator has collapsed: train with other settings, or publish an earlier model"
    return Check(name=COLLAPSE, passed=not collapsed, words=words + remedy * collapsed)


def labels_fit(cases: Sequence[Figures]) -> Check:
    """Check that labels are nearer to what public cases score with their own labels than with another's."""
    said, wrong = [], False
    for role in sorted({role for case in cases for role in case.brightness}):
        values: NDArray[np.float64] = np.array([case.brightness.get(role, np.nan) for case in cases])
        if np.isnan(values).all():
            continue  # every label is empty, which `not_constant` says
        mean, level = float(np.nanmean(values)), public_brightness(role, min(case.edge for case in cases))
        said.append(
            f"{role.value}: a labelled voxel is brighter than one around it {mean:.0%} of the time; public cases "
            f"{level.own:.0%}, with another case's label {level.other:.0%}, so at least {level.least:.0%}"
        )
        wrong |= mean < level.least
    remedy = "; labels do not belong to their images: look at the contact sheet, and train again"
    words = "; ".join(said) or "not checked: no label here is declared to be bright in an image beside it"
    return Check(name=BRIGHT, passed=not wrong, words=words + remedy * wrong)


def maps_possible(cases: Sequence[Figures]) -> Check:
    """Check that no perfusion map is negative, and none anything but 0 outside a brain mask beside it."""
    found = [f"{case.name}: {fault}" for case in cases for fault in case.maps]
    wrong = f"{_some(found)}; the generator draws what cannot be measured: train again"
    return Check(name=MAPS, passed=not found, words=wrong if found else f"{len(cases)} cases with maps")


def _some(found: Sequence[str]) -> str:
    more = len(found) - NAMED
    return ", ".join(found[:NAMED]) + (f" and {more} more" if more > 0 else "")
