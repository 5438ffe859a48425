"""The coordinator's Flower ServerApp: a run folder and a Grid, and `conduct` does the rest.

A deployed coordinator names the prepared run folder in Flower's run configuration (`run-folder`).
"""

from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from server.run.coordinator import conduct
from server.run.folder import RunFolder
from shared.recipes.base import Progress


def build_app(folder: Path, progress: Progress) -> ServerApp:
    """Return a ServerApp that takes the run in `folder` to settlement."""
    made = ServerApp()

    @made.main()
    def main(grid: Grid, context: Context) -> None:
        conduct(grid, RunFolder(folder), progress)

    return made


app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Conduct the run whose folder the run configuration names."""
    folder = Path(str(context.run_config["run-folder"]))
    conduct(grid, RunFolder(folder), lambda what, done, total: None)
