"""An audit of a trained network's file: the one released passes, every other and every wrong claim is caught."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from server.audit.network_check import check_network
from server.dataset.files.claims import claim_in_words
from server.ledger.recorder import Recorder
from shared.canonical import digest
from shared.ledger.events import Release
from shared.ledger.log import SignedEvent
from shared.ledger.view import head_of, view
from tests.server.ledgers import COORDINATOR, Story, store_at

About = dict[str, object]


@pytest.fixture
def handed_over(tmp_path: Path) -> Callable[..., tuple[Path, list[SignedEvent], str]]:
    """Return a function that releases a network, with what it says of itself changed, and returns all about it."""

    def make(change: Callable[[About], object] = lambda about: None) -> tuple[Path, list[SignedEvent], str]:
        store = store_at(tmp_path, Story().events())
        run = Story().run()
        head = head_of(store.lines)
        about: About = {
            "run": run.run,
            "recipe": run.recipe,
            "variant": run.variant,
            "preset": run.preset,
            "settings": run.settings,
            "private": True,
            "claim": claim_in_words(view(store.events, run.run), head),
            "ledger": {"size": head.size, "root": head.root},
        }
        change(about)
        content = save({"weight": np.arange(6, dtype=np.float32)}, {"willis": json.dumps(about)})
        file = tmp_path / "maps.safetensors"
        file.write_bytes(content)
        made = Release(run=run.run, kind="release", what="network", cases=0, manifest=digest(content))
        Recorder(store, COORDINATOR)(made, lambda known: False)
        store.close()
        return file, list(store.events), run.run

    return make


def test_the_network_released_passes(handed_over: Callable[..., tuple[Path, list[SignedEvent], str]]) -> None:
    finding = check_network(*handed_over())
    assert finding.passed, finding


@pytest.mark.parametrize("place", [0, 40, 200, -1])
def test_a_changed_byte_is_caught(
    handed_over: Callable[..., tuple[Path, list[SignedEvent], str]], place: int
) -> None:
    file, events, run = handed_over()
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    finding = check_network(file, events, run)
    assert finding.passed is False
    assert "no release of this file" in finding.detail


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("claim", "ε = 0.1", "another privacy"),
        ("private", False, "another privacy"),
        ("recipe", "other", "another recipe"),
        ("run", "0" * 64, "another run"),
        ("ledger", {"size": 1, "root": "0" * 64}, "another ledger"),
    ],
)
def test_a_released_file_that_says_what_is_not_so_is_caught(
    handed_over: Callable[..., tuple[Path, list[SignedEvent], str]], key: str, value: object, said: str
) -> None:
    finding = check_network(*handed_over(lambda about: about.update({key: value})))
    assert finding.passed is False
    assert said in finding.detail


def test_what_is_no_network_is_a_finding_too(
    handed_over: Callable[..., tuple[Path, list[SignedEvent], str]], tmp_path: Path
) -> None:
    _, events, run = handed_over()
    (tmp_path / "notes.txt").write_text("no network")
    assert check_network(tmp_path / "notes.txt", events, run).passed is False
