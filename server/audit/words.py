"""What a failed check means, for a data steward who has to decide what to do next."""

from collections.abc import Sequence

from shared.ledger.finding import Finding

# By the words a check's name contains, in the order in which failures should be read.
_MEANINGS = (
    (
        "every entry is in its place",
        "The books are damaged or were edited. Believe nothing that rests on them; ask for another copy.",
    ),
    (
        "checkpoint fixes",
        "These are not the books that the coordinator signed. Ask for the signed ones, or ask whose key this is.",
    ),
    (
        "grew out of what was seen before",
        "The coordinator shows other books than it showed before. Stop publishing, and tell every hospital.",
    ),
    (
        "hospitals witnessed",
        "The hospitals have seen other books than these. Stop publishing; compare with what each one keeps.",
    ),
    (
        "what its own ledger says",
        "The books and this hospital disagree on what it agreed to. Settle that before relying on a figure.",
    ),
    (
        "agreed to the plan",
        "Something was trained that a hospital had not agreed to. Its patients' guarantee is in question.",
    ),
    (
        "reserved before it is used",
        "Patients' data were used before budget was set aside for it. The figures may be too small.",
    ),
    ("settled spending", "A hospital's account of what ran does not fit what ran. The figures may be too small."),
    ("nothing spent before", "Earlier use of the same patients was left out. The figures are too small."),
    ("cap is crossed", "More was spent than a hospital allows. Its data steward must be told."),
    ("what may be published", "Something was published that the rules forbid. Withdraw it."),
    (
        "had passed its gate",
        "A data set left without the checks on its images, or although they failed. Look at it, or withdraw it.",
    ),
    ("steward approved", "A data set left without the approval it needed. Its steward must be told."),
    ("whatever drew", "A data set shows more of patients than its claim counts. Withdraw it."),
    (
        "accountants agree",
        "Independent calculations of ε contradict each other. Cite none until one is found wrong.",
    ),
    ("report", "The report does not say what the books say. Make it again before anyone reads it."),
    ("checkpoint is the model", "The model here is not the one the books describe. Draw nothing from it."),
    ("data set", "The data set was changed, or claims another privacy than it has. Do not use or pass it on."),
    (
        "run is in the ledger",
        "This folder is about a run the books do not know. Nothing in it is covered by them.",
    ),
)


def meaning(check: str) -> str:
    """Return what it means to a data steward that `check` failed.

    Raises:
        LookupError: there is no such check; a new check needs its sentence here.
    """
    for words, sentence in _MEANINGS:
        if words in check:
            return sentence
    raise LookupError(f"no sentence says what it means that this fails: {check}")


def verdict(findings: Sequence[Finding]) -> str:
    """Return the last word of an audit: nothing failed, or what the first failure means."""
    failed = [finding for finding in findings if finding.passed is False]
    if not failed:
        unanswered = sum(finding.passed is None for finding in findings)
        rest = f" {unanswered} questions could not be answered from this copy." if unanswered else ""
        return f"Nothing failed.{rest}"
    first = failed[0]
    return f"{len(failed)} of {len(findings)} checks failed. First: {first.check}.\n{meaning(first.check)}"
