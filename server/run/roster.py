"""The sites of one run: which of them can be asked now, and what keeps the others.

A site may be gone for a while, also when the coordinator starts again. It stays a member of the run, whose name
and plan rest on who enrolled; when Flower shows a node that is not known, it is asked who it is.
"""

from collections.abc import Mapping, Sequence

from flwr.serverapp import Grid

from server.ledger.recorder import Recorder
from server.run.agreement import reserve, settle
from server.run.enrolment import Arrivals, Member, identify, recognise
from server.run.job import Job
from server.run.patience import Patience
from server.run.rounds import Told
from shared.errors import ProtocolError
from shared.ledger.events import Enrol, Refuse, Run
from shared.ledger.store import LedgerStore
from shared.ledger.view import view


class Roster:
    """Knows the nodes of a run's members, and has them reserve and settle.

    Attributes:
        run: the plan that the members agree on.
    """

    def __init__(
        self,
        grid: Grid,
        job: Job,
        run: Run,
        enrolled: Sequence[Enrol],
        ledger: LedgerStore,
        record: Recorder,
        patience: Patience,
        approved: Mapping[str, str] | None,
        told: Told,
    ) -> None:
        self._grid = grid
        self._job = job
        self.run = run
        self._enrolled = {event.site: event for event in enrolled}
        self._ledger = ledger
        self._record = record
        self._patience = patience
        self._once = patience.model_copy(update={"pause_seconds": None})
        self._approved = approved
        self._told = told
        self._members: dict[str, Member] = {}
        self._reserved: set[str] = set()  # since this process began
        self._ever = set(view(ledger.events, run.run).reserves)
        self._asked: set[int] = set()  # connected nodes that were asked who they are

    @property
    def present(self) -> list[Member]:
        """The members whose nodes are known, in order of name."""
        return [self._members[name] for name in sorted(self._members)]

    @property
    def reserved(self) -> list[Member]:
        """Those of them that set budget aside and may be asked for updates."""
        return [member for member in self.present if member.name in self._reserved]

    @property
    def size(self) -> int:
        """How many sites set budget aside for the run, wherever they are now."""
        return len(self._ever)

    @property
    def unsettled(self) -> list[str]:
        """The sites whose reservation is open: it counts as spent in full."""
        seen = view(self._ledger.events, self.run.run)
        return sorted(seen.reserves.keys() - seen.settles.keys())

    def arrive(self, found: Arrivals, round_: int = 0) -> None:
        """Take in who is there; of the others that belong to the run, the ledger says why they are left out."""
        self._asked |= found.nodes
        self._members |= found.members
        for name in found.members:
            self._told(name, "enrolled")
        for name, why in sorted(found.left_out.items()):
            self._leave_out(name, why, round_)

    def reserve(self, *, resume: bool) -> None:
        """Have all that are there set budget aside.

        Raises:
            PolicyRefusal, ProtocolError: as `agreement.reserve`.
        """
        need = self._patience.sites_needed(len(self._enrolled))
        self._have_reserve(self.present, need, self._patience, resume=resume, round_=0)

    def muster(self, round_: int) -> None:
        """Look for members that came (back) since; a known node that is gone for now is left to the round.

        Each is asked once, as the others wait meanwhile: one that fails has its turn before the next round.
        """
        online = set(self._grid.get_node_ids())
        at_work = {member.node for member in self.reserved}
        self._asked &= online  # who went away and comes back is asked anew
        new = sorted(online - at_work - self._asked)
        lacking = self._enrolled.keys() - {m.name for m in self.reserved if m.node in online}
        if not new or not lacking:
            return
        keys = {name: event.public_key for name, event in self._enrolled.items()}
        found = identify(self._grid, new, self._job, self._once, keys, self._approved)
        self.arrive(recognise(found, [self._enrolled[name] for name in lacking]), round_)
        come = [found.members[name] for name in sorted(found.members)]
        self._have_reserve(come, 0, self._once, resume=True, round_=round_)

    def settle(self) -> None:
        """Have all that reserved and are there say what they executed."""
        left_out = settle(self._grid, self.run, self.reserved, self._ledger, self._patience)
        for member in self.reserved:
            self._told(member.name, left_out.get(member.name, "settled"))

    def _have_reserve(
        self, members: Sequence[Member], need: int, patience: Patience, *, resume: bool, round_: int
    ) -> None:
        refusals, left_out = reserve(
            self._grid, self.run, members, self._ledger, resume=resume, need=need, patience=patience
        )
        for name, why in left_out.items():
            self._leave_out(name, why, round_)
        for name, why in refusals.items():
            self._told(name, f"refuses: {why}")
        names = {member.name for member in members}
        kept = names - refusals.keys() - left_out.keys()
        self._reserved = (self._reserved - names) | kept
        self._ever |= kept
        for name in kept:
            self._told(name, "reserved")

    def _leave_out(self, name: str, why: str, round_: int) -> None:
        self._told(name, why)
        if name in self._enrolled:
            self._record(
                Refuse(
                    run=self.run.run,
                    site=name,
                    by="coordinator",
                    round=round_,
                    code=ProtocolError.code,
                    reason=why,
                )
            )
