"""The digest of the code that runs here: what a site agrees to run is named by its bytes, not by a version."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from shared.canonical import canonical, digest

PACKAGES = ("client", "shared")  # what a hospital executes


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return the SHA-256 over path and content of every module and table of the packages a hospital executes."""
    files = {}
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        root = Path(spec.origin).parent
        for path in root.rglob("*"):
            if path.suffix in (".py", ".json"):
                files[f"{package}/{path.relative_to(root).as_posix()}"] = digest(path.read_bytes())
    return digest(canonical(files))
