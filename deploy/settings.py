"""Settings that people edit: one TOML file, one schema, and errors that name file, line and remedy."""

import json
import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from shared.errors import UsageError
from shared.files import write_durably


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
        first = err.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        raise UsageError(f"{path}{_line_of(text, key)}: {_remedy(kind, key, first)}") from err


def write_settings(path: Path, settings: Settings) -> None:
    """Write settings as TOML, each key below its description, for a person to edit."""
    lines: list[str] = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        said = f"{name} = {_toml(value)}" if value is not None else f"# {name} ="
        lines += [f"# {field.description}", said, ""]
    write_durably(path, "\n".join(lines).encode())


def _line_of(text: str, key: str) -> str:
    for number, line in enumerate(text.splitlines(), start=1):
        if key and line.split("=")[0].strip().strip("\"'") == key:
            return f":{number}"
    return ""


def _remedy(kind: type[Settings], key: str, error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return f"no setting is called {key}; there are {', '.join(kind.model_fields)}"
    if error["type"] == "missing":
        return f"{key} is missing; add it: {kind.model_fields[key].description}"
    if key not in kind.model_fields:
        return str(error["msg"])
    return f"{key}: {error['msg']}; it is: {kind.model_fields[key].description}"


def _toml(value: object) -> str:
    """Return a value as TOML; of strings and lists of strings JSON is the same."""
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False)
