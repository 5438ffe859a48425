"""Logs of our processes: one JSON line a record in a file that is set aside when large, maybe plain on stderr."""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import MappingProxyType

NOTHING: Mapping[str, object] = MappingProxyType({})
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# As lines begin: Flower's and uvicorn's own, and uvicorn's in Flower's SuperLink.
_LEVEL = re.compile(r"(?:\d{4}-\S+Z )?(DEBUG|INFO|WARNING|ERROR|CRITICAL) *(?:: *|\[[\w.]+\] )")
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time (UTC, milliseconds), level, logger, message, what `extra` gave."""

    def __init__(self, context: Mapping[str, object] = NOTHING) -> None:
        """Add `context` (such as the site's name) to every record; a record's own `extra` wins."""
        super().__init__()
        self._context = dict(context)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        given = {name: value for name, value in vars(record).items() if name not in _USUAL}
        entry: dict[str, object] = {
            **self._context,
            **given,
            "time": when.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def set_up(
    folder: Path,
    name: str,
    *,
    megabytes: int,
    files: int,
    context: Mapping[str, object] = NOTHING,
    shown: bool = True,
) -> None:
    """Send this process's log to `folder`/`name`.jsonl and to stderr; what an earlier call set up is replaced.

    Args:
        folder: of logs; made, for its owner alone, where it is missing.
        name: of the process; no two processes may share one.
        megabytes: (10^6 bytes) at which the file is set aside as `name`.jsonl.1, .2, ...
        files: how many set aside are kept.
        context: fields of every record.
        shown: whether stderr gets it, too; a service's stderr is the system's journal, which may be forwarded.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = RotatingFileHandler(
        folder / f"{name}.jsonl", maxBytes=megabytes * 10**6, backupCount=files, encoding="utf-8"
    )
    kept.setFormatter(JsonLines(context))
    handlers: list[logging.Handler] = [kept]
    if shown:
        plain = logging.StreamHandler()
        plain.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
        handlers.append(plain)
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)


def pump(stream: Iterable[str], logger: logging.Logger) -> None:
    """Log every line of a child process, at the level the line names, until the stream ends.

    Colours are taken off. A line without a level belongs to the one before; a traceback is an error.
    """
    level = logging.INFO
    for raw in stream:
        line = _COLOUR.sub("", raw).rstrip()
        if named := _LEVEL.match(line):
            level = logging.getLevelNamesMapping()[named[1]]
            line = line[named.end() :]
        elif line.startswith("Traceback (most recent call last)"):
            level = logging.ERROR
        if line.strip():
            logger.log(level, "%s", line)
