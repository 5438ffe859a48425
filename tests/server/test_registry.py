"""The registry record says what the report guarantees, in the fields and types the registry asks for."""

import json
from typing import Any

import pytest
import yaml

from server.report.build import Report, build_report
from server.report.registry import registry_record, registry_yaml
from server.report.registry_words import FILL
from shared.canonical import canonical
from shared.ledger.events import Release
from shared.privacy.accounting import cost
from shared.privacy.events import NoiseSource, NonPrivate, Spending
from tests.server.ledgers import DELTA, PRIVATE_PAST, RUN_ID, SITES, Story, cap_of, signed_all

# What the deployments schema of the registry requires, as we understood it: section -> field -> type.
REQUIRED: dict[str, dict[str, type]] = {
    "basic": {
        "name": str,
        "data_curators": list,
        "description": str,
        "intended_use": str,
        "data_product_type": str,
        "data_product_region": str,
        "data_product_sector": str,
        "publication_date": str,
    },
    "dp_variant": {"variant_name": str, "data_domain": str, "unprotected_quantities": str},
    "privacy_loss": {
        "privacy_unit": str,
        "privacy_unit_details": str,
        "number_of_privacy_units": int,
        "privacy_parameters": dict,
        "privacy_parameters_details": str,
    },
    "deployment_model": {
        "model_name": str,
        "trust_assumptions": str,
        "actors": str,
        "release_type": str,
        "release_type_details": str,
        "data_source_type": str,
        "access_type": str,
    },
    "implementation": {
        "preprocessing_and_hyperparameter_tuning": str,
        "mechanisms": str,
        "composition": str,
        "post_processing": str,
        "justification": str,
    },
    "administrative": {"status": str, "registry_authors": list, "tier": int},
}
CHOICES = {
    ("basic", "data_product_type"): "Synthetic data",
    ("basic", "data_product_sector"): "Healthcare",
    ("dp_variant", "variant_name"): "Approximate DP",
    ("deployment_model", "model_name"): "Federated",
    ("deployment_model", "release_type"): "One release",
    ("deployment_model", "data_source_type"): "Static",
    ("deployment_model", "access_type"): "Non-interactive",
    ("administrative", "status"): "Draft",
    ("administrative", "tier"): 3,
}


def report(story: Story, released: bool = True) -> Report:
    kind = "simulation" if story.noise_source is NoiseSource.SEEDED else "release"
    release = Release(run=RUN_ID, kind=kind, cases=5, manifest="a" * 64)
    return build_report(signed_all([*story.events(), *([release] * released)]), RUN_ID)


def deployment(story: Story) -> dict[str, Any]:
    record = registry_record(report(story))
    assert record is not None
    assert set(record) == {"url_slug", "deployment"}
    found: dict[str, Any] = record["deployment"]
    return found


def test_the_record_has_the_fields_and_types_of_tier_three() -> None:
    record = deployment(Story())
    assert set(record) == set(REQUIRED)
    for section, fields in REQUIRED.items():
        assert set(record[section]) == set(fields)
        for name, kind in fields.items():
            assert type(record[section][name]) is kind
            assert record[section][name] not in ("", [], {})
    assert {key: record[key[0]][key[1]] for key in CHOICES} == CHOICES
    curators = record["basic"]["data_curators"]
    assert all(set(one) == {"data_curator_name", "data_curator_type"} for one in curators)


def test_it_registers_what_is_guaranteed_and_tells_the_planned_price_apart() -> None:
    loss = deployment(Story(past=dict.fromkeys(SITES, (PRIVATE_PAST,))))["privacy_loss"]
    assert loss["privacy_parameters"] == {"epsilon": 10.0, "delta": DELTA}
    planned = cost([PRIVATE_PAST.spending, Story().plan], DELTA)
    assert f"If planned: {planned}" in loss["privacy_parameters_details"]
    assert f"order {cap_of(10.0).order:g}" in loss["privacy_parameters_details"]


def test_nothing_the_ledger_does_not_know_is_invented() -> None:
    basic = deployment(Story())["basic"]
    assert basic["publication_date"] == basic["data_product_region"] == FILL
    assert basic["data_curators"][0]["data_curator_name"].startswith(FILL)


@pytest.mark.parametrize("story", [Story(plan=Spending.of(NonPrivate(steps=4))), Story(settled=())])
def test_what_may_not_be_published_has_no_record(story: Story) -> None:
    assert registry_yaml(report(story)) is None


def test_without_a_release_there_is_no_record() -> None:
    assert registry_yaml(report(Story(), released=False)) is None


def test_a_simulation_says_so_in_its_name() -> None:
    assert deployment(Story(noise_source=NoiseSource.SEEDED))["basic"]["name"].startswith("SIMULATION")


def test_yaml_gives_the_record_back_and_the_same_bytes() -> None:
    made = report(Story())
    data = registry_yaml(made)
    assert data is not None
    assert yaml.safe_load(data) == registry_record(made)
    assert registry_yaml(json.loads(canonical(made))) == data
