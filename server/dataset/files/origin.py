"""How cases were made where more than one run had a hand in it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """How cases were made, in words for the data card, and the other runs whose networks drew."""

    words: str
    earlier: tuple[str, ...] = ()


USUAL = Origin(
    "Labels are made together with the images by the same generator; nobody has corrected them by hand."
)
