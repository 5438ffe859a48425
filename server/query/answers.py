"""What a finished query answers, in words and in RUN/answer.json."""

import json
from contextlib import closing
from dataclasses import dataclass

from torch import nn

from server.query.kept import ANSWER, answer_in_words
from server.run.coordinator import load_model
from server.run.folder import RunFolder
from shared.canonical import Json
from shared.errors import UsageError
from shared.files import write_durably
from shared.ledger.view import RunView, view
from shared.privacy.accounting import cost
from shared.recipes.query import Query, answer_of
from shared.recipes.query_dice import DiceQuery
from shared.recipes.query_distance import Question


@dataclass(frozen=True)
class Finished:
    """A query that came to its end: what the ledger has of it, and the model that holds its answer."""

    seen: RunView
    recipe: Query
    model: nn.ModuleDict

    @property
    def values(self) -> list[float]:
        """The noised mean of what patients contributed."""
        return [float(value) for value in answer_of(self.model).mean]

    @property
    def noise_std(self) -> float:
        """Deviation of the noise on each value."""
        return float(answer_of(self.model).noise_std)

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites that answered."""
        return self.seen.rounds[-1].sites

    @property
    def patients(self) -> int:
        """How many patients these sites declared."""
        return sum(self.seen.enrolled[site].patients for site in self.sites)

    @property
    def cost(self) -> str:
        """What this query alone cost each of them, if planned."""
        return str(cost([self.seen.run.spending], self.seen.run.delta))


def finished(folder: RunFolder) -> Finished:
    """Return the finished query in a folder.

    Raises:
        UsageError: the run is not finished, or is no query.
        CheckpointError: plan or checkpoint are not those the ledger names.
    """
    recipe, model, run = load_model(folder)
    if not isinstance(recipe, Query):
        raise UsageError(f"{folder.path}: a run of {recipe.name}, which answers nothing; give a query's")
    with closing(folder.home.open_ledger()) as ledger:
        return Finished(view(ledger.events, run.run), recipe, model)


def write_answer(folder: RunFolder) -> list[str]:
    """Write what a finished query came back with, and what it cost, and return it in words.

    Raises:
        UsageError, CheckpointError: as `finished`.
    """
    query = finished(folder)
    what, more = _dice(query) if isinstance(query.recipe, DiceQuery) else _bins(query)
    content: dict[str, Json] = {
        "what": what,
        **more,
        "noise_standard_deviation": query.noise_std,
        "patients": query.patients,
        "sites": list(query.sites),
        "cost_alone_if_planned": query.cost,
        "noise_source": query.seen.noise_source.value,
        "run": query.seen.run.run,
    }
    write_durably(folder.path / ANSWER, json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")
    return answer_in_words(folder)


def _dice(query: Finished) -> tuple[str, dict[str, Json]]:
    (value,), noise = query.values, query.noise_std
    low, high = value - 2 * noise, value + 2 * noise
    what = "mean Dice over a patient's patches, of the network in initial.safetensors"
    words = f"Dice {value:.3f}, noise ± {noise:.3f} (one standard deviation; two: {low:.2f} to {high:.2f})"
    return what, {"value": value, "words": words}


def _bins(query: Finished) -> tuple[str, dict[str, Json]]:
    edges = edges_of(query)
    what = "share of patients by the least distance of their records to the synthetic cases in initial.safetensors"
    *near, rest = query.values
    words = ", then ".join(f"{value:.0%} up to {edge:.2g}" for value, edge in zip(near, edges, strict=True))
    noise = f"noise ± {query.noise_std:.0%} each (one standard deviation)"
    return what, {
        "value": list(query.values),
        "edges": list(edges),
        "words": f"{words}, {rest:.0%} farther; {noise}",
    }


def edges_of(query: Finished) -> tuple[float, ...]:
    """Return the edges of a `query-distance`'s bins."""
    return tuple(float(edge) for edge in question_of(query).edges)


def question_of(query: Finished) -> Question:
    """Return what a `query-distance` asked.

    Raises:
        UsageError: it is another query.
    """
    if "question" not in query.model:
        raise UsageError(f"run {query.seen.run.run}: {query.recipe.name} has no bins; give a query-distance")
    question = query.model["question"]
    assert isinstance(question, Question)
    return question
