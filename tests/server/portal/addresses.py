"""Every page of the portal, by following its links as a visitor would."""

import re

from starlette.testclient import TestClient

_LINK = re.compile(r'(?:href|src)="(/[^"#]*)"')


def pages(visitor: TestClient) -> dict[str, str]:
    """Return address -> HTML of every page that links lead to from the first one, and a few that none does."""
    found: dict[str, str] = {}
    waiting = ["/", "/nowhere", "/dataset/000000000000"]
    while waiting:
        address = waiting.pop()
        if address in found or "/file/" in address:
            continue
        answer = visitor.get(address)
        if not answer.headers["content-type"].startswith("text/html") or address.endswith("/report"):
            continue
        found[address] = answer.text
        waiting += [link.replace("&amp;", "&") for link in _LINK.findall(answer.text)]
    return found


def links(text: str) -> list[str]:
    """Return the addresses that a page links to."""
    return [link.replace("&amp;", "&") for link in _LINK.findall(text)]
