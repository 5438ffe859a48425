"""The command listens on this machine alone, unless it is told otherwise by name, and then it warns."""

import pytest
import uvicorn
from click.testing import CliRunner

from server.portal.command import portal
from server.portal.guard import Guard
from shared.errors import UsageError
from tests.server.portal.scene import Scene


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Return what would have been served."""
    calls: list[dict[str, object]] = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **settings: calls.append({"app": app} | settings))
    return calls


def test_it_listens_on_this_machine_alone(served: list[dict[str, object]], shown: Scene) -> None:
    done = CliRunner().invoke(portal, [str(shown.runs[0])])
    assert done.exit_code == 0
    assert "warning" not in done.output
    (call,) = served
    assert call["host"] == "127.0.0.1"
    assert isinstance(call["app"], Guard)
    assert (call["server_header"], call["access_log"], call["ws"]) == (False, False, "none")


def test_elsewhere_only_when_asked_and_with_a_warning(served: list[dict[str, object]], shown: Scene) -> None:
    done = CliRunner().invoke(
        portal, [str(shown.runs[0]), "--host", "0.0.0.0", "--port", "9000", "--name", "centre"]
    )
    assert done.exit_code == 0
    assert "everybody who can reach 0.0.0.0:9000 can read every page" in done.output
    assert served[0]["host"] == "0.0.0.0"


def test_on_every_address_it_wants_to_know_its_name(served: list[dict[str, object]], shown: Scene) -> None:
    """Else a page elsewhere whose name is made to lead here would be answered."""
    done = CliRunner().invoke(portal, [str(shown.runs[0]), "--host", "0.0.0.0"])
    assert isinstance(done.exception, UsageError)
    assert "--name" in str(done.exception)
    assert not served


def test_a_folder_that_is_not_there_is_said_so() -> None:
    assert CliRunner().invoke(portal, ["nowhere"]).exit_code == 2
    assert CliRunner().invoke(portal, []).exit_code == 2
