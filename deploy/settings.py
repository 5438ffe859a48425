"""Settings that people edit: one TOML file, one schema, and errors that name file, line and remedy."""

import json
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from shared.errors import UsageError
from shared.files import write_durably
from shared.lines import line_of, place_of

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"  # of a hospital or a federation; a DNS label, and a file's name
_HOST_PORT = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}"
ADDRESS = f"^{_HOST_PORT}$"
PROXY = f"^http://{_HOST_PORT}$"
_WIDTH = 110  # of comments


class Settings(BaseModel):
    """Base of all settings files; every field has a description, which the file made for a newcomer quotes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


AnySettings = TypeVar("AnySettings", bound=Settings)


def read_settings(path: Path, kind: type[AnySettings]) -> AnySettings:
    """Read a settings file.

    Raises:
        UsageError: it is missing, not TOML, or has an unknown key or a value that does not fit; names file, line
            and remedy.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return kind.model_validate(tomllib.loads(text))
    except FileNotFoundError as err:
        raise UsageError(f"{path}: missing; name the right folder with --home, or set it up first") from err
    except OSError as err:
        raise UsageError(f"{path}: cannot be read ({err.strerror}); change its permissions") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise UsageError(f"{path}: not valid TOML in UTF-8 ({err}); mend that line") from err
    except ValidationError as err:
        key, remedy = _first(kind, err)
        raise UsageError(f"{place_of(path, text, key)}: {remedy}") from err


def settings_from(kind: type[AnySettings], values: Mapping[str, object]) -> AnySettings:
    """Return settings with values a person gave as options; those that are None are left at their defaults.

    Raises:
        UsageError: a value does not fit; names it and the remedy.
    """
    try:
        return kind.model_validate({key: value for key, value in values.items() if value is not None})
    except ValidationError as err:
        raise UsageError(_first(kind, err)[1]) from err


def write_settings(path: Path, settings: BaseModel, head: str = "") -> None:
    """Write settings as TOML, each key below its description, for a person to edit; `head` comes first."""
    lines = [*_comment(head), ""] if head else []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        said = f"{name} = {_toml(value)}" if value is not None else f"# {name} ="
        lines += [*_comment(field.description or ""), said, ""]
    write_durably(path, "\n".join(lines).encode())


def change_setting(path: Path, key: str, value: object) -> None:
    """Give one key another value, on its own line, and leave everything else as the person wrote it.

    Raises:
        UsageError: the value there now goes over several lines.
    """
    lines = path.read_text(encoding="utf-8").split("\n")
    said = f"{key} = {_toml(value)}"
    number = line_of("\n".join(lines), key)
    if number is None:
        lines.insert(0, said)  # before any table
    else:
        lines[number - 1] = said
    text = "\n".join(lines)
    try:
        changed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        changed = {}
    if changed.get(key) != value:
        raise UsageError(f"{path}: {key} could not be changed; write this line yourself: {said}")
    write_durably(path, text.encode())


def _first(kind: type[Settings], err: ValidationError) -> tuple[str, str]:
    """Return the key of the first thing wrong, and what to do about it."""
    first = err.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    return key, _remedy(kind, key, first)


def _remedy(kind: type[Settings], key: str, error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return f"no setting is called {key}; there are {', '.join(kind.model_fields)}"
    if error["type"] == "missing":
        return f"{key} is missing; add it: {kind.model_fields[key].description}"
    if key not in kind.model_fields:
        return str(error["msg"])
    return f"{key}: {error['msg']}; it is: {kind.model_fields[key].description}"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _toml(value: object) -> str:
    """Return a value as TOML; of strings JSON is the same, but for the control character it leaves as it is."""
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
