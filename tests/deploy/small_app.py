"""An app with the shape of Willis and nothing of its weight: its server asks what a test writes to files."""

import json
import time
from pathlib import Path

SERVER = """
import json, time
from pathlib import Path
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()

@app.main()
def main(grid, context):
    folder = Path(context.run_config["run-folder"])
    number = 0
    while not (folder / "stop").exists():
        question = folder / f"ask-{number}"
        if not question.exists():
            time.sleep(0.1)
            continue
        while not (nodes := list(grid.get_node_ids())):
            time.sleep(0.1)
        content = RecordDict({"c": ConfigRecord({"x": 1})})
        (sent,) = grid.push_messages([Message(content, nodes[0], "query." + question.read_text())])
        while not (replies := list(grid.pull_messages([sent]))):
            time.sleep(0.1)
        reply = replies[0]
        if reply.has_error():
            said = {"code": reply.error.code, "text": reply.error.reason}
        else:
            said = dict(reply.content["c"])
        said["from"] = str(reply.metadata.src_node_id)
        (folder / "part").write_text(json.dumps(said))
        (folder / "part").rename(folder / f"answer-{number}")
        number += 1
"""

CLIENT = """
import json, os, time
from pathlib import Path
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()

def answer(message, text):
    return Message(RecordDict({"c": ConfigRecord({"said": text})}), reply_to=message)

@app.query("echo")
def echo(message, context):
    return answer(message, json.dumps(dict(context.node_config)))

@app.query("fail")
def fail(message, context):
    raise ValueError("TOP-" + "SECRET patient_042")  # the words whole are in what is raised only

@app.query("leave")
def leave(message, context):
    os._exit(3)

@app.query("wait")
def wait(message, context):
    folder = Path(context.node_config["site-folder"])
    (folder / "working").touch()
    while not (folder / "go").exists():
        time.sleep(0.1)
    return answer(message, "done")
"""

PROJECT = """[project]
name = "willis"
version = "0.1.0"

[tool.flwr.app]
publisher = "willis"

[tool.flwr.app.components]
serverapp = "server.app:app"
clientapp = "client.app:app"

[tool.flwr.app.config]
run-folder = ""
noise-multiplier = 1.0
"""


def write_app(folder: Path, client: str = CLIENT) -> Path:
    """Write the app folder that `flwr run` takes."""
    for name, text in (("server", SERVER), ("client", client)):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("")
        (folder / name / "app.py").write_text(text)
    (folder / "pyproject.toml").write_text(PROJECT)
    return folder


class Questions:
    """What a test asks through the server of the app."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self._asked = folder, 0

    def ask(self, kind: str) -> int:
        part = self.folder / "question"
        part.write_text(kind)
        part.rename(self.folder / f"ask-{self._asked}")
        self._asked += 1
        return self._asked - 1

    def answer(self, number: int, seconds: float = 60.0) -> dict[str, object]:
        path = self.folder / f"answer-{number}"
        end = time.monotonic() + seconds
        while not path.exists():
            assert time.monotonic() < end, f"no answer to question {number} within {seconds:g} s"
            time.sleep(0.1)
        said: dict[str, object] = json.loads(path.read_text())
        return said

    def stop(self) -> None:
        (self.folder / "stop").touch()
