"""The gate: a valid update passes; every way of breaking one is refused with its reason."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from server.run.gate import Expected, check
from server.run.patience import quorum
from shared.canonical import digest_arrays
from shared.errors import ProtocolError
from shared.identity import Identity
from shared.messages import Arrays, Update, UpdateReply

SHAPES = {"critic.a": (4, 4), "critic.b": (3,)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Identity.at(tmp_path_factory.mktemp("keys") / "site.key", "site-a")


def arrays() -> Arrays:
    return {name: np.ones(shape, np.float32) for name, shape in SHAPES.items()}


def expected(site: Identity) -> Expected:
    return Expected("run", 3, "site-a", site.public_key, "base", "nonce", SHAPES)


def signed(key: Identity, body: Arrays, **changes: object) -> UpdateReply:
    fields = {"run": "run", "round": 3, "site": "site-a", "base": "base", "nonce": "nonce"} | changes
    return UpdateReply.by(key, Update.model_validate({**fields, "body": digest_arrays(body)}))


def test_a_valid_update_passes(site: Identity) -> None:
    check(signed(site, arrays()), arrays(), expected(site))


@pytest.mark.parametrize(
    ("field", "value"), [("run", "other"), ("round", 2), ("site", "site-b"), ("base", "old"), ("nonce", "used")]
)
def test_an_update_for_anything_else_is_refused(site: Identity, field: str, value: object) -> None:
    with pytest.raises(ProtocolError, match=f"another {field}"):
        check(signed(site, arrays(), **{field: value}), arrays(), expected(site))


BROKEN: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "missing array": (lambda a: {"critic.a": a["critic.a"]}, "differ by"),
    "extra array": (lambda a: a | {"secret": np.zeros(9, np.float32)}, "differ by"),
    "a shape that would broadcast": (lambda a: a | {"critic.a": np.ones((1, 4), np.float32)}, "shape"),
    "another type": (lambda a: a | {"critic.a": np.ones((4, 4), np.float64)}, "type"),
    "one NaN": (lambda a: a | {"critic.b": np.array([1, np.nan, 1], np.float32)}, "finite"),
    "infinite": (lambda a: a | {"critic.b": np.array([1, -np.inf, 1], np.float32)}, "finite"),
    "huge": (lambda a: a | {"critic.b": np.array([1, 1e12, 1], np.float32)}, "too large"),
}


@pytest.mark.parametrize(("breaks", "why"), BROKEN.values(), ids=BROKEN)
def test_a_signed_but_broken_update_is_refused(
    site: Identity, breaks: Callable[[Arrays], Arrays], why: str
) -> None:
    body = breaks(arrays())
    with pytest.raises(ProtocolError, match=why):
        check(signed(site, body), body, expected(site))


def test_arrays_that_are_not_the_signed_ones_are_refused(site: Identity) -> None:
    other = arrays() | {"critic.b": np.zeros(3, np.float32)}
    with pytest.raises(ProtocolError, match="not the ones that were signed"):
        check(signed(site, arrays()), other, expected(site))


def test_another_sites_signature_is_refused(site: Identity, tmp_path: Path) -> None:
    stranger = Identity.at(tmp_path / "key", "site-a")
    with pytest.raises(ProtocolError, match="signature"):
        check(signed(stranger, arrays()), arrays(), expected(site))
    with pytest.raises(ProtocolError, match="signature"):
        check(signed(site, arrays()), arrays(), replace(expected(site), public_key="00" * 32))


def test_one_site_of_several_is_never_an_average() -> None:
    assert all(quorum(n) >= 2 for n in range(2, 50))
    assert all(quorum(n) <= n for n in range(1, 50))
