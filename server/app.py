"""The coordinator's Flower ServerApp: a run folder and a Grid, and `conduct` does the rest.

A deployed coordinator names the prepared run folder in Flower's run configuration (`run-folder`).
"""

from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from server.report.build import write_report
from server.run.coordinator import Extent, conduct, train
from server.run.folder import RunFolder
from server.run.status import conducted
from shared.errors import PolicyRefusal
from shared.recipes.base import Progress


def build_app(folder: Path, progress: Progress, extent: Extent) -> ServerApp:
    """Return a ServerApp that takes the run in `folder` as far as asked."""
    made = ServerApp()

    @made.main()
    def main(grid: Grid, context: Context) -> None:
        conduct(grid, RunFolder(folder), progress, extent=extent)

    return made


app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Conduct the run whose folder the run configuration names, as patiently as its operator chose, and report."""
    folder = RunFolder(Path(str(context.run_config["run-folder"])))
    with conducted(folder) as watch:
        try:
            train(grid, folder, lambda what, done, total: None, watch, folder.patience(), folder.approved())
        except PolicyRefusal:
            write_report(folder.path)
            raise
        watch.tell(phase="report")
        write_report(folder.path)
        if folder.plan().is_query:
            from server.query.answers import write_answer  # MONAI: seconds, for queries alone

            write_answer(folder)
