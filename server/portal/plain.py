"""Errors without the places of the machine: a page may say which file of a run is damaged, not where it lies."""

import re
from collections.abc import Sequence
from pathlib import Path

_PLACE = re.compile(r"(?<![\w./<])/(?:[^\s/:;,'\"]+/)+(?=[^\s/:;,'\"])")


def without_paths(text: str, folders: Sequence[Path]) -> str:
    """Return `text` with the given folders named by their last part, and any other path by its file's name.

    >>> without_paths("/srv/runs/a/plan.json: damaged; see /etc/ssl/key.pem", [Path("/srv/runs/a")])
    'a/plan.json: damaged; see key.pem'
    """
    spellings = {str(form) for folder in folders for form in (folder, folder.absolute(), folder.resolve())}
    for place in sorted(spellings, key=len, reverse=True):
        if len(place) > 1:
            text = re.sub(rf"(?<![\w.-]){re.escape(place)}(?=$|[\s/:;,'\"])", lambda m: Path(m.group()).name, text)
    return _PLACE.sub("", text)
