"""README.md of samples that may not be published."""

from shared.ledger.release_rules import objections
from shared.ledger.view import RunView


def unsafe_card(view: RunView, run_folder: str) -> str:
    """Return README.md of samples that may not be published."""
    reasons = objections(view) or ["a person asked for samples outside publication"]
    return "\n".join(
        [
            "NOT PRIVATE - NOT FOR PUBLICATION",
            "",
            f"Samples of run {view.run.run} (folder {run_folder}), written on request with "
            "`--unsafe-non-private`. They may show what a real patient's image shows. Keep them where the "
            "patients' own images are kept, and delete them when they have served.",
            "",
            "Why this run may not be published:",
            "",
            *(f"- {reason}" for reason in reasons),
            "",
            "Nothing here is signed, and the ledger records no release.",
            "",
        ]
    )
