"""Which app bundles a hospital has approved, by the file of its decisions: the latest on each bundle holds."""

import json

from deploy.site.home import SiteHome


def approved_bundles(home: SiteHome) -> list[str]:
    """Return the hashes of the bundles that may run here, in order of their first decision."""
    path = home.bundles / "decisions.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    decided = [entry for entry in map(json.loads, lines) if entry["verb"] != "refused"]  # that is the guard's word
    latest = {entry["hash"]: entry["verb"] for entry in decided}
    return [bundle for bundle, verb in latest.items() if verb == "approved"]
