"""A real site and a real coordinator, and one genuine message of every kind each way, for spoiling."""

import shutil
from pathlib import Path

from flwr.app import Context, Message, RecordDict

from benchmarks.fuzzing import Coordinator, requests
from client.app import Seat, build_app, records_of
from client.site import Site
from server.ledger.home import Home
from server.run.enrolment import Member
from shared.ledger.events import Enrol
from shared.ledger.log import SignedEvent
from shared.messages import ENROL, RESERVE, SETTLE, TRAIN, WITNESS, EventReply, unpack
from shared.recipes.catalogue import load
from simulations.embedded import EmbeddedGrid
from tests.client.conversation import model_of, run_of
from tests.cohorts import lesion_cohorts


class Setting:
    """One site that was asked everything once, and its coordinator."""

    def __init__(self, folder: Path) -> None:
        recipe = load("lesions-3d", None, "small")
        run, model = run_of(recipe, rounds=2, steps=1, sampling_rate=0.5), model_of(recipe)
        self.folder = lesion_cohorts(folder, {"east": 3}) / "east"
        self.run = run
        records_of.cache_clear()
        app = build_app(lambda context: Seat(Site(self.folder), noise_seed=1, threads=1))
        self._grid = EmbeddedGrid(app, [Context(1, 1, {}, RecordDict(), {})], workers=1)
        home = Home(folder / "home")
        home.found(run.delta, 1)
        ledger = home.open_ledger()
        self.requests = requests(recipe, run, model, home, ledger)
        self.answers: dict[str, RecordDict] = {}
        for kind in (ENROL, RESERVE, TRAIN, SETTLE, WITNESS):
            self.answers[kind] = self.ask(kind, self.requests[kind])
        cosigned = Home(shutil.copytree(home.path, folder / "cosigned"))
        enrolment = unpack(self.answers[ENROL], EventReply).signed
        assert isinstance(enrolment.event, Enrol)
        for signed in (enrolment, SignedEvent.by(home.identity, run)):
            ledger.append(signed)
        ledger.close()
        self.coordinator = Coordinator(home, cosigned, recipe, run, Member(1, enrolment.event), model)
        self.ask(RESERVE, self.requests[RESERVE])  # open again, so that rounds may be asked for

    def ask(self, kind: str, content: RecordDict) -> RecordDict:
        """Return the content of the site's answer."""
        (reply,) = self._grid.send_and_receive([Message(content, 1, kind, group_id="")], timeout=120.0)
        return reply.content
