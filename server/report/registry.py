"""A record for the OpenDP registry of differential-privacy deployments: tier 3, derived from the report alone.

The form is that of the registry's deployments schema as of autumn 2026. Some fields ask for what no ledger
knows: who the curators are, when and for which region the data were published. They say so, and the record is a
draft until a person has filled them in.
"""

import json
from collections.abc import Iterable
from typing import Any

import yaml

from server.report import registry_words as words
from shared.canonical import Json, canonical


def registry_yaml(report: dict[str, Json]) -> bytes | None:
    """Return registry.yaml, or None where there is no release to register."""
    record = registry_record(report)
    if record is None:
        return None
    text: str = yaml.safe_dump(record, sort_keys=False, allow_unicode=True, width=100)
    return text.encode()


def registry_record(report: dict[str, Json]) -> dict[str, Any] | None:
    """Return the record of a published run; None if nothing was released or no finite ε is guaranteed."""
    r: dict[str, Any] = json.loads(canonical(report))
    if not r["releases"] or not r["publishable"]:
        return None
    level = declared_level(r)
    sure = level["guaranteed"]["cost"]
    if sure["epsilon"] is None:
        return None
    return {
        "url_slug": f"willis-{r['run']['recipe']}-{r['run']['id'][:12]}",
        "deployment": {
            "basic": _basic(r),
            "dp_variant": {
                "variant_name": "Approximate DP",
                "data_domain": words.DOMAIN.format(records=r["run"]["records_per_patient"]),
                "unprotected_quantities": _list(line for layer in r["layers"] for line in layer["not_covered"]),
            },
            "privacy_loss": _loss(r, level, sure),
            "deployment_model": {
                "model_name": "Federated",
                "trust_assumptions": r["statement"],
                "actors": words.ACTORS.format(sites=len(r["participation"])),
                "release_type": "Many releases" if len(r["releases"]) > 1 else "One release",
                "release_type_details": words.RELEASES,
                "data_source_type": "Static",
                "access_type": "Non-interactive",
            },
            "implementation": _implementation(r),
            "administrative": {
                "status": "Draft",
                "registry_authors": ["made from the ledger by willis; " + words.FILL],
                "tier": 3,
            },
        },
    }


def declared_level(report: dict[str, Any]) -> dict[str, Any]:
    """Return the federation's figures at the overlap it declares."""
    federation = report["federation"]
    return next(level for level in federation["levels"] if level["sites"] == federation["overlap"])


def _basic(r: dict[str, Any]) -> dict[str, Any]:
    run, cases = r["run"], sum(release["cases"] for release in r["releases"])
    what = f"{cases} synthetic, labelled cases drawn from a generator" if cases else "A generator"
    first = "SIMULATION, NOT A DEPLOYMENT: " if run["is_simulation"] else ""
    return {
        "name": f"{first}synthetic brain images, {run['recipe']} {run['variant']}, run {run['id'][:12]}",
        "data_curators": [
            {"data_curator_name": f"{words.FILL} (sites: {_sites(r)})", "data_curator_type": "Nonprofit"}
        ],
        "description": words.DESCRIPTION.format(what=what, sites=len(r["participation"]), recipe=run["recipe"]),
        "intended_use": words.USE,
        "data_product_type": "Synthetic data",
        "data_product_region": words.FILL,
        "data_product_sector": "Healthcare",
        "publication_date": words.FILL,
    }


def _loss(r: dict[str, Any], level: dict[str, Any], sure: dict[str, Any]) -> dict[str, Any]:
    planned = level["if_planned"]
    return {
        "privacy_unit": f"{sure['unit']}: all records of one patient",
        "privacy_unit_details": words.UNIT.format(relation=sure["relation"]),
        "number_of_privacy_units": sum(row["patients"] or 0 for row in r["participation"]),
        "privacy_parameters": {"epsilon": sure["epsilon"], "delta": sure["delta"]},
        "privacy_parameters_details": _list(
            [
                f"Registered: {sure['text']}. It holds for {level['meaning']}, "
                f"{level['guaranteed']['condition']}.",
                f"If planned: {planned['cost']['pld']['text']}. It holds {planned['condition']}.",
                *(
                    f"{', '.join(group['sites'])}: guaranteed {group['guaranteed']['cost']['text']}, "
                    f"this run by itself {group['alone']['pld']['text']}, cap {group['cap']['text']}"
                    for group in r["groups"]
                ),
            ]
        ),
    }


def _implementation(r: dict[str, Any]) -> dict[str, Any]:
    run, group = r["run"], r["groups"][0]
    earlier = max(len(group["composition"]) for group in r["groups"]) - 1
    return {
        "preprocessing_and_hyperparameter_tuning": words.TUNING,
        "mechanisms": _list(
            [
                f"{group['reserved']['text']}, clip norm {run['clip_norm']}: Gaussian mechanism on sums over "
                "Poisson-sampled patients (DP-SGD with the patient as unit)",
                f"noise: {run['noise_in_words']}",
                words.FLOATING,
                words.TIMING,
                f"code digest {run['code']}",
                f"ledger of {r['ledger']['size']} entries, Merkle root {r['ledger']['root']}",
            ]
        ),
        "composition": words.COMPOSITION.format(earlier=earlier),
        "post_processing": words.POST,
        "justification": words.JUSTIFICATION,
    }


def _sites(r: dict[str, Any]) -> str:
    return ", ".join(row["site"] for row in r["participation"])


def _list(lines: Iterable[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)
