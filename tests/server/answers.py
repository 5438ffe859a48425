"""Answers of hospitals about copies, by how many of a hundred patients of each group lie near a data set."""

from shared.evaluation.copying import Histogram, find_copies
from shared.evaluation.distance_answer import DistanceAnswer, Group
from shared.ledger.events import Event, Past, Reserve, Round, Run, Settle
from tests.server.ledgers import RUN_ID, SITES, Story

QUERY = "9" * 16
EDGES = (0.5, 1.0)


def answer(manifest: str, near: int, *, noise: float = 0.01, query: str = QUERY) -> DistanceAnswer:
    """Return an answer about the data set with this manifest: `near` of those trained on are near, no others."""
    trained, held_out = (Histogram((n / 100, 0.0, 1 - n / 100), noise, 100) for n in (near, 0))

    def group(run: str, histogram: Histogram) -> Group:
        return Group(
            run=run,
            sites=tuple(SITES),
            histogram=histogram,
            cost="",
            if_planned="",
            guaranteed="",
            noise_source="system",
        )

    return DistanceAnswer(
        manifest=manifest,
        runs=(RUN_ID,),
        edges=EDGES,
        trained=group(query, trained),
        held_out=group("8" * 16, held_out),
        finding=find_copies(trained, held_out, EDGES),
        is_simulation=False,
    )


def query_events(query: str = QUERY, *, charged: bool = True) -> list[Event]:
    """Return what a ledger gains by the query, after the run; `charged`: on the patients it was trained on."""
    past = Past(run=RUN_ID, recipe="vessels-2d", variant="wgan", spending=Story().plan)
    story = Story(run_id=query, recipe="query-distance", past=dict.fromkeys(SITES, (past,) * charged))
    return [event for event in story.events() if isinstance(event, Run | Reserve | Round | Settle)]
