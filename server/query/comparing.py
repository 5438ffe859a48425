"""Two finished queries about one data set, of patients trained on and of others, compared."""

from pathlib import Path

import torch

from server.query.answers import Finished, edges_of, finished, question_of
from server.query.data_set import DataSet
from server.query.groups import not_trained_on, trained_on
from server.report.accounts import grouped
from server.report.federation import joint_cost, joint_guarantee
from server.run.folder import RunFolder
from shared.errors import UsageError
from shared.evaluation.copying import TOLERATED, Histogram, find_copies
from shared.evaluation.distance_answer import DistanceAnswer, Group
from shared.files import write_durably
from shared.recipes.query_distance import DistanceQuery


def compare(
    out: Path, data_set: DataSet, trained: Path, held_out: Path, tolerated: float = TOLERATED
) -> DistanceAnswer:
    """Return what two queries say of a data set, after writing it to the file `out`.

    Raises:
        UsageError: a run is not finished, is another question's, or asked other patients than it must have.
        CheckpointError, LedgerError: something of a run is damaged.
    """
    runs = data_set.views()
    first, second = finished(RunFolder(trained)), finished(RunFolder(held_out))
    for query, place in ((first, trained), (second, held_out)):
        _check_question(query, data_set, place)
    if why := not_trained_on(first.seen, runs) or trained_on(second.seen):
        raise UsageError(why)
    if edges_of(first) != edges_of(second):
        raise UsageError(f"{trained} and {held_out} asked with other bins; ask both with one question")
    ours, others = _group(first), _group(second)
    edges = edges_of(first)
    answer = DistanceAnswer(
        manifest=data_set.manifest,
        runs=tuple(seen.run.run for seen in runs),
        edges=edges,
        trained=ours,
        held_out=others,
        finding=find_copies(ours.histogram, others.histogram, edges, tolerated),
        is_simulation=first.seen.is_seeded or second.seen.is_seeded,
    )
    write_durably(out, answer.model_dump_json(indent=2).encode() + b"\n")
    return answer


def lines_of(answer: DistanceAnswer) -> list[str]:
    """Return an answer in words."""
    rows = [
        f"under     {one.nearer_than:.3g}: {one.trained:.0%} of those trained on, {one.held_out:.0%} of others; "
        f"copied {one.copied:.0%} ({one.low:.0%} to {one.high:.0%})"
        for one in answer.finding.excesses
    ]
    costs = [
        f"cost      {group.cost}, this query alone, for each patient {who}\n"
        f"          with all before: {group.if_planned}, if planned; guaranteed: {group.guaranteed}"
        for who, group in (("trained on", answer.trained), ("held out", answer.held_out))
    ]
    return [f"answer    {answer.words}", *rows, *costs]


def _check_question(query: Finished, data_set: DataSet, place: Path) -> None:
    question, recipe = question_of(query), query.recipe
    assert isinstance(recipe, DistanceQuery)
    cases = recipe.published_vectors(data_set.published)
    if cases.shape != question.cases.shape or not torch.allclose(cases, question.cases, atol=1e-5):
        raise UsageError(f"{place}: asked about another data set than {data_set.published.folder}")


def _group(query: Finished) -> Group:
    groups, overlap = grouped(query.seen), query.seen.federation.overlap
    return Group(
        run=query.seen.run.run,
        sites=query.sites,
        histogram=Histogram(tuple(query.values), query.noise_std, query.patients),
        cost=query.cost,
        if_planned=str(joint_cost(groups, overlap)),
        guaranteed=str(joint_guarantee(groups, overlap)[0]),
        noise_source=query.seen.noise_source.value,
    )
