"""Colours for several populations in one figure."""

from collections.abc import Iterator


def colours() -> Iterator[str]:
    """Yield colours that people with colour blindness can tell apart (Okabe and Ito, 2008), over and over."""
    while True:
        yield from ("#000000", "#E69F00", "#0072B2", "#009E73", "#CC79A7")
