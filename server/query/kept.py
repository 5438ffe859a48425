"""The answer that a finished query left in its folder, as lines for people. Needs no torch."""

import json

from server.run.folder import RunFolder
from shared.errors import UsageError
from shared.privacy.events import NoiseSource

ANSWER = "answer.json"


def answer_in_words(folder: RunFolder) -> list[str]:
    """Return what a query answered, of whom, and what it cost them.

    Raises:
        UsageError: there is no answer, or it is damaged.
    """
    path = folder.path / ANSWER
    try:
        said = json.loads(path.read_bytes())
        seeded = said["noise_source"] == NoiseSource.SEEDED.value
        return [
            *(["SIMULATION: the noise is seeded and protects nobody"] if seeded else []),
            f"answer    {said['words']}",
            f"of        {said['patients']} declared patients at {len(said['sites'])} sites; nobody else was read",
            f"cost      {said['cost_alone_if_planned']} for each of them, this query alone, if planned",
            "          (what is guaranteed with everything before stands in the report)",
        ]
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise UsageError(f"{path}: no answer of a query, or damaged; resume the query") from err
