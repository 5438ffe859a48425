"""Query `query-distance`: how many patients have a record near some synthetic case, by public bins, noised.

Asked of the patients a data set was trained on and of others, the two answers tell copies from likeness
(`shared.evaluation.copying`). A patient's distance is the least of any of its records, as training saw them or
mirrored as training may have mirrored them, to any synthetic case (`shared.evaluation.nearness`). Each patient
contributes a 1 in one of the bins, so its presence moves the sum by a known length whatever the number of its
records; who has nothing to compare counts as farthest. Cases and edges of the bins come with the run's initial
weights: they are public.

The records are those the training drew from if the run has its public seed.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from shared.evaluation.distance_answer import QUERY
from shared.evaluation.nearness import (
    IMAGE_EDGE,
    MASK_EDGE,
    bin_of,
    image_vectors,
    least_distance,
    mask_vectors,
    mirrored,
    public_edges,
)
from shared.evaluation.published import Published
from shared.imaging.patches import Patches
from shared.imaging.scan import Role, Scan
from shared.phantoms.lesions import simulate_lesions
from shared.phantoms.vessels import draw_parameters, simulate
from shared.privacy.randomness import derive_seed
from shared.recipes.base import NONE, Arrays, Progress, Records, ReleasePhase
from shared.recipes.lesions_3d import LesionRecords
from shared.recipes.query import Answer, Query
from shared.recipes.settings import ReleaseSchedule, Setting
from shared.recipes.vessel_records import EDGE, PATCHES, ROLES, VesselRecords, records

BINS = 3  # nearer than half the nearest public phantom, nearer than that phantom, and the rest
PHANTOMS = 100  # public patients that the edges of the bins come from


class DistanceSchedule(ReleaseSchedule):
    """What is public of the question beside the schedule of its one release."""

    cases: int = Field(default=100, ge=1, le=10_000)  # synthetic cases compared with


class Question(nn.Module):
    """What every site is sent: the synthetic cases as vectors (cases, d), and the edges of the bins.

    Parameters and no buffers, which sites refuse; nobody moves them.
    """

    def __init__(self, cases: Tensor, edges: Tensor) -> None:
        super().__init__()
        self.cases = nn.Parameter(cases, requires_grad=False)
        self.edges = nn.Parameter(edges, requires_grad=False)


class DistancePhase(ReleasePhase):
    """One bin a patient."""

    reads = ("question",)
    size = BINS

    def __init__(self, query: "DistanceQuery") -> None:
        self._query = query

    @torch.no_grad()
    def statistic(self, records: Records, generator: torch.Generator, model: nn.ModuleDict) -> Tensor:
        """Return (BINS,): 1 in the bin of the patient's distance and 0 elsewhere, minus 1 / BINS."""
        question = model["question"]
        assert isinstance(question, Question)
        distance = least_distance(self._query.vectors(records), question.cases)
        contribution = torch.full((BINS,), -DistanceQuery.centre)
        contribution[bin_of(distance, question.edges)] += 1
        return contribution


class DistanceQuery(Query):
    """See the module."""

    name = QUERY
    centre = 1 / BINS
    size: int  # numbers in a vector

    schedule: DistanceSchedule

    def __init__(self, preset: str, *, private: bool, settings: Mapping[str, Setting] = NONE) -> None:
        super().__init__(preset, private=private, settings=settings)
        self.phase = DistancePhase(self)

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> DistanceSchedule:
        """See `Recipe.defaults`; the length of every contribution is the clip norm."""
        return DistanceSchedule(rounds=1, steps=1, sampling_rate=1.0, clip_norm=(1 - 1 / BINS) ** 0.5)

    def build(self, seed: int) -> nn.ModuleDict:
        """Return the question, with random vectors for cases and nothing near, and the place of the answer."""
        random = torch.Generator().manual_seed(derive_seed(seed, "cases"))
        cases = torch.randn(self.schedule.cases, self.size, generator=random)
        question = Question(cases / cases.norm(dim=1, keepdim=True), torch.zeros(BINS - 1))
        return nn.ModuleDict({"question": question, "answer": Answer(BINS)})

    def question(self, published: Published, seed: int, progress: Progress) -> Arrays:
        """Return the initial weights that ask about a data set; `seed` is of the public phantoms.

        Raises:
            UsageError: its cases are of another kind or size, or a public phantom is among them.
            CohortError: a file cannot be read.
        """
        cases = self.published_vectors(published)
        distances = []
        for done, phantom in enumerate(self.phantom_vectors(seed), start=1):
            distances.append(float(least_distance(phantom, cases)))
            progress("public phantoms", done, PHANTOMS)
        return {"question.cases": cases, "question.edges": public_edges(distances)}

    @abstractmethod
    def vectors(self, records: Records) -> Tensor:
        """Return (r, size): a patient's records and their mirror images, in the public space."""

    @abstractmethod
    def published_vectors(self, published: Published) -> Tensor:
        """Return (cases, size): the cases of a data set, in the public space."""

    @abstractmethod
    def phantom_vectors(self, seed: int) -> Iterator[Tensor]:
        """Yield what `vectors` would return for each of `PHANTOMS` public patients."""


class VesselDistance(DistanceQuery):
    """Of the patches that `vessels-2d` trains on: the images, for labels are coarser."""

    variant = "vessels-2d"
    roles = ROLES
    is_default = True
    size = IMAGE_EDGE**2

    def records(self, scans: Sequence[Scan], seed: int) -> VesselRecords:
        """See `Recipe.records`."""
        return records(scans, self.preset, seed)

    def vectors(self, records: Records) -> Tensor:
        """See `DistanceQuery.vectors`."""
        assert isinstance(records, VesselRecords)
        return _image_vectors(records.all())

    def published_vectors(self, published: Published) -> Tensor:
        """See `DistanceQuery.published_vectors`."""
        return image_vectors(torch.from_numpy(published.patches(EDGE[self.preset])[:, 0]))

    def phantom_vectors(self, seed: int) -> Iterator[Tensor]:
        """See `DistanceQuery.phantom_vectors`."""
        rng = np.random.default_rng(derive_seed(seed, "phantoms"))
        for theta in draw_parameters(PHANTOMS, rng):
            patches = simulate(theta, PATCHES[self.preset], EDGE[self.preset], rng)
            yield _image_vectors(patches)


class LesionDistance(DistanceQuery):
    """Of the lesion masks that `lesions-3d` trains on."""

    variant = "lesions-3d"
    roles = (Role.LESION,)
    size = MASK_EDGE**3

    def records(self, scans: Sequence[Scan], seed: int) -> LesionRecords:
        """See `Recipe.records`."""
        return LesionRecords.of(scans)

    def vectors(self, records: Records) -> Tensor:
        """See `DistanceQuery.vectors`; training mirrors along every axis."""
        assert isinstance(records, LesionRecords)
        return mask_vectors(mirrored(records.all()[:, 0], axes=[1, 2, 3]))

    def published_vectors(self, published: Published) -> Tensor:
        """See `DistanceQuery.published_vectors`."""
        return mask_vectors(LesionRecords.of(published.lesions()).all()[:, 0])

    def phantom_vectors(self, seed: int) -> Iterator[Tensor]:
        """See `DistanceQuery.phantom_vectors`."""
        rng = np.random.default_rng(derive_seed(seed, "phantoms"))
        for grid in simulate_lesions(PHANTOMS, rng):
            yield self.vectors(LesionRecords(torch.from_numpy(grid)[None, None]))


def _image_vectors(patches: Patches) -> Tensor:
    """Return (2 n, 256) of patches (n, 2, i, j) and their mirror images: training mirrors left and right."""
    return image_vectors(mirrored(torch.from_numpy(patches[:, 0]), axes=[1]))


RECIPES = (VesselDistance, LesionDistance)
