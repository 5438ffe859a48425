"""The form of report.json as a JSON Schema (draft 2020-12), so that others can read reports without our code.

`python -m server.report.schema > docs/report.schema.json` writes the published copy.
"""

import json

from server.report.build import FORMAT
from shared.canonical import Json

Schema = dict[str, Json]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
DIGEST: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def record(**fields: Schema) -> Schema:
    """Return an object with exactly these fields, all required."""
    properties: dict[str, Json] = dict(fields)
    required: list[Json] = list(sorted(fields))
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def listed(item: Schema) -> Schema:
    """Return a list of `item`."""
    return {"type": "array", "items": item}


def optional(schema: Schema) -> Schema:
    """Return `schema` or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def defined(name: str) -> Schema:
    """Return a reference to one of `_definitions`."""
    return {"$ref": f"#/$defs/{name}"}


def report_schema() -> Schema:
    """Return the schema of the whole report."""
    fields = record(
        format={"const": FORMAT},
        ledger=record(size=WHOLE, root=DIGEST),
        run=_run(),
        status=record(name={"enum": ["settled", "unsettled", "refused"]}, text=TEXT),
        warnings=listed(TEXT),
        summary=listed(TEXT),
        publishable=FLAG,
        federation=record(
            public_key=DIGEST,
            delta=NUMBER,
            overlap=WHOLE,
            costliest=optional(TEXT),
            levels=listed(
                record(
                    sites=WHOLE,
                    meaning=TEXT,
                    if_planned=record(cost=defined("priced"), condition=TEXT),
                    guaranteed=record(cost=defined("claim"), condition=TEXT),
                    membership=record(if_planned=defined("odds"), guaranteed=defined("odds")),
                )
            ),
        ),
        groups=listed(_group()),
        curve=optional(record(sites=listed(TEXT), chosen=NUMBER, points=listed(defined("claim")))),
        participation=listed(_participation()),
        incidents=listed(
            record(entry=WHOLE, kind={"enum": ["incident", "refusal"]}, what=TEXT, rounds=listed(WHOLE))
        ),
        statement=TEXT,
        conditions=listed(TEXT),
        layers=listed(
            record(name=TEXT, title=TEXT, question=TEXT, covered=listed(TEXT), not_covered=listed(TEXT))
        ),
        earlier_non_private=listed(record(sites=listed(TEXT), run=TEXT, recipe=TEXT, variant=TEXT)),
        releases=listed(record(**_released()) | {"properties": {**_released(), "what": {"const": "network"}}}),
    )
    head: Schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Willis budget report"}
    definitions: dict[str, Json] = dict(_definitions())
    return head | fields | {"$defs": definitions}


def _released() -> dict[str, Schema]:
    """Return the fields of a release that are always there; `what` is only where it is no data set."""
    return {
        "kind": {"enum": ["release", "simulation"]},
        "cases": WHOLE,
        "manifest": DIGEST,
        "gate": listed(record(name=TEXT, passed=FLAG, words=TEXT)),
        "decisions": listed(record(steward=TEXT, decision={"enum": ["approved", "refused"]}, words=TEXT)),
    }


def _definitions() -> dict[str, Schema]:
    claim = record(epsilon=optional(NUMBER), delta=NUMBER, unit=TEXT, relation=TEXT, accountant=TEXT, text=TEXT)
    priced = record(
        pld=defined("claim"),
        rdp=optional(defined("claim")),
        tight=optional(defined("claim")),
        tight_refused=optional(TEXT),
        disagreements=optional(listed(TEXT)),
    )
    mechanism: Schema = {
        "oneOf": [
            record(type={"const": "sampled-gaussian"}, noise_multiplier=NUMBER, sampling_rate=NUMBER, steps=WHOLE),
            record(type={"const": "non-private"}, steps=WHOLE),
        ]
    }
    spending = record(unit=TEXT, relation=TEXT, mechanisms=listed(mechanism), text=TEXT)
    odds = record(accuracy={"type": "number", "minimum": 0.5, "maximum": 1}, text=TEXT)
    return {
        "claim": claim | {"description": "An ε with all that gives it meaning; null stands for infinite."},
        "priced": priced | {"description": "One cost by three accountants; null where Opacus was missing."},
        "spending": spending | {"description": "What ran: mechanisms on one cohort."},
        "odds": odds | {"description": "The best accuracy of guessing whether one unit took part."},
    }


def _run() -> Schema:
    texts = ("id", "recipe", "variant", "preset", "settings", "noise_in_words", "pretrained_on", "code")
    wholes = ("rounds_planned", "rounds_done", "steps_per_round", "records_per_patient")
    return record(
        **{name: TEXT for name in texts},
        **{name: WHOLE for name in wholes},
        sampling_rate=NUMBER,
        clip_norm=optional(NUMBER),
        noise_source={"enum": ["system", "seeded"]},
        is_simulation=FLAG,
        public_seed={"type": "integer"},
        model=optional(DIGEST),
    )


def _group() -> Schema:
    named: dict[str, Schema] = {"run": TEXT, "recipe": TEXT, "variant": TEXT}
    share = optional({"type": "number", "minimum": 0})
    return record(
        sites=listed(TEXT),
        status=TEXT,
        noise_source={"enum": ["system", "seeded"]},
        reserved=defined("spending"),
        settled=optional(defined("spending")),
        rounds=optional(WHOLE),
        first_plan=FLAG,
        alone=defined("priced"),
        if_planned=record(cost=defined("priced"), condition=TEXT),
        guaranteed=record(cost=defined("claim"), condition=TEXT),
        cap=defined("claim"),
        against_cap=defined("claim"),
        left=defined("claim"),
        filter=optional(record(order=WHOLE, before=share, this=share, reserved=share, left=share)),
        membership=record(if_planned=defined("odds"), guaranteed=defined("odds")),
        after_rounds=listed(record(round=WHOLE, cost=defined("claim"))),
        not_composed=listed(record(**named, why=TEXT)),
        composition=listed(
            record(
                **named,
                rounds=optional(WHOLE),
                clip_norm=optional(NUMBER),
                spending=defined("spending"),
                alone=defined("priced"),
                cumulative=defined("priced"),
            )
        ),
    )


def _participation() -> Schema:
    missed: Schema = {
        "type": "array",
        "prefixItems": [WHOLE, WHOLE, {"enum": ["refused", "absent"]}],
        "items": False,
    }
    return record(
        site=TEXT,
        patients=optional(WHOLE),
        cohort=optional(TEXT),
        averaged=WHOLE,
        refused=WHOLE,
        absent=WHOLE,
        missed=listed(missed),
    )


def published() -> str:
    """Return the text of docs/report.schema.json."""
    return json.dumps(report_schema(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(published(), end="")
