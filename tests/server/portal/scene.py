"""A federation with everything that pages must show: several runs, refusals, incidents, data sets, candidates."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.image import imsave

from server.dataset.files.seal import SUMS, seal
from server.ledger.export import export_ledger
from server.run.folder import RunFolder
from shared.canonical import digest
from shared.files import write_durably
from shared.ledger.events import (
    Approval,
    Check,
    Event,
    Gate,
    Incident,
    Past,
    Refuse,
    Release,
    Run,
    Settle,
    Steward,
)
from shared.ledger.log import SignedEvent, steward_name
from tests.server.ledgers import COORDINATOR, Story, cap_of, cosigned, gaussian, identity, signed, store_at

matplotlib.use("Agg")

HOSTILE = "<script>alert(1)</script>"
FIRST, SECOND, THIRD = (digest(name.encode()) for name in ("first run", "second run", "third run"))
STEWARD = "dr-weiss"
_SITES = ("north", "south", "west")
_CLAIM = "ε = 4.00 (δ = 1e-05; unit: patient; add/remove; PLD, dp-accounting)"
_LONG = "university-hospital-of-the-far-eastern-borough"


@dataclass(frozen=True)
class Scene:
    """Where everything lies, and the names of data sets (12 digits)."""

    runs: list[Path]
    released: str
    waiting: str
    shut: str

    @property
    def home(self) -> Path:
        return self.runs[0] / "home"

    def approval(self, manifest12: str, decision: str = "approved", by: str = STEWARD) -> bytes:
        """Return a decision as a steward signs it."""
        (folder,) = self.runs[0].glob(f"candidates/{manifest12}")
        manifest = digest((folder / SUMS).read_bytes())
        event = Approval.model_validate(
            {"run": FIRST, "manifest": manifest, "steward": by, "decision": decision, "words": "looked at all"}
        )
        return signed_by(by, event).model_dump_json().encode()


def signed_by(steward: str, event: Event) -> SignedEvent:
    """Return an event signed by a steward."""
    return SignedEvent.by(identity(steward_name(steward)), event)


def scene(folder: Path) -> Scene:
    """Make the federation in `folder`, with one settled run, one unsettled one and one refused."""
    sites = (*_SITES, _LONG)
    first = Story(run_id=FIRST, sites=sites, settled=sites, cap=cap_of(20.0), overlap=2)
    store = store_at(folder / "first", [*_first(first)])
    past = Past(run=FIRST, recipe=first.recipe, variant="wgan", spending=first.plan)
    second = Story(
        run_id=SECOND,
        plan=gaussian(2),
        sites=_SITES,
        settled=("north",),
        rounds_done=2,
        cap=cap_of(20.0),
        overlap=2,
        past=dict.fromkeys(_SITES, (past,)),
    )
    third = Story(run_id=THIRD, sites=_SITES, settled=(), rounds_done=0, overlap=2)
    with closing(store):
        for name, story in (("second", second), ("third", third)):
            other_run(folder / name, folder / "first" / "home", story.run())
        for event in _after(second, third):
            store.append(signed(event))
        made = {name: data_set(folder / "first" / name) for name in ("dataset", "candidates/a", "candidates/b")}
        key = identity(steward_name(STEWARD)).public_key
        store.append(signed(Gate(run=FIRST, manifest=made["dataset"], checks=_checks(True))))
        store.append(signed(Release(run=FIRST, kind="release", cases=2, manifest=made["dataset"])))
        store.append(signed(Steward(name=STEWARD, public_key=key, state="named")))
        for name, passed in (("candidates/a", True), ("candidates/b", False)):
            store.append(signed(Gate(run=FIRST, manifest=made[name], checks=_checks(passed))))
            (folder / "first" / name).rename(folder / "first" / "candidates" / made[name][:12])
        export_ledger(store, RunFolder(folder / "first").ledger, COORDINATOR, cosigned(store.head, _SITES))
        store.append(signed(Incident(run=FIRST, text="later than the checkpoint")))
    runs = [folder / name for name in ("first", "second", "third")]
    return Scene(runs, *(made[name][:12] for name in ("dataset", "candidates/a", "candidates/b")))


def other_run(folder: Path, home: Path, plan: Run) -> None:
    """Make the folder of a further run of the federation."""
    write_durably(folder / "federation.json", json.dumps({"federation": str(home)}).encode())
    RunFolder(folder).keep_plan(plan)


def data_set(folder: Path, more: Mapping[str, bytes] | None = None) -> str:
    """Seal a small data set in `folder`; return its manifest."""
    text = {
        "README.md": f"---\nlicense: cc-by-4.0\n---\n# Synthetic angiograms\n\n## Privacy {HOSTILE}\n\n"
        "| site | patients (declared) | guaranteed | if all was planned beforehand |\n|---|---|---|---|\n"
        f"| north | 40 | {_CLAIM} | {_CLAIM} |\n\n[a link](javascript:alert(1))\n",
        "dataset_description.json": json.dumps({"DifferentialPrivacy": _claims()}),
        "index.html": "<!doctype html><title>viewer</title><script>document.title = 'ran'</script>",
        "participants.tsv": f"participant_id\nsub-{folder.name}\n",
    }
    files = {name: value.encode() for name, value in text.items()} | dict(more or {})
    files["sub-1/anat/sub-1_angio.nii.gz"] = bytes(range(256)) * 8
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    imsave(folder / "contact-sheet.png", np.random.default_rng(0).random((240, 320)), cmap="gray")
    return digest(seal(folder, COORDINATOR))


def _claims() -> dict[str, object]:
    return {"sites": {"north": {"text": _CLAIM}}, "if_planned": {"sites": {"north": {"text": _CLAIM}}}}


def _first(story: Story) -> list[Event]:
    late = Refuse(run=FIRST, site="west", by="coordinator", round=2, code="protocol", reason="no answer in time")
    bug = Incident(run=FIRST, text=f"{HOSTILE} until 1.2 the report understated the number of sites")
    return [*story.events(), late, bug]


def _after(second: Story, third: Story) -> list[Event]:
    """Return the entries of the two later runs; the second's only settlement, the third refused."""
    body = [event for event in second.events() if event.type not in ("federation", "enrol", "settle")]
    done = Settle(run=SECOND, site="north", rounds=2, spending=gaussian(2))
    no = Refuse(
        run=THIRD, site="south", by="site", round=0, code="policy", reason="its policy allows no other recipe"
    )
    return [*body, done, third.run(), no]


def _checks(passed: bool) -> tuple[Check, ...]:
    words = (
        "nearest patient's distance was not asked for"
        if passed
        else "share of copies 0.21, at most 0.05 is allowed"
    )
    return (
        Check(name="the run may be published", passed=True, words="settled, patient-level, noised"),
        Check(name="no case copies another", passed=passed, words=words),
    )
