"""The recorded form of spendings is frozen: ledgers written today must be readable and priced alike for ever."""

from typing import get_args

import pytest

from shared.canonical import canonical
from shared.privacy.events import Mechanism, NonPrivate, SampledGaussian, Spending, Unit

# Never edit a line: a change of format is a new `type` with a line of its own.
GOLDEN: dict[bytes, Spending] = {
    b'{"mechanisms":[{"noise_multiplier":2.73,"sampling_rate":0.25,"steps":300,"type":"sampled-gaussian"}],'
    b'"relation":"add/remove","unit":"patient"}': Spending.of(
        SampledGaussian(noise_multiplier=2.73, sampling_rate=0.25, steps=300)
    ),
    b'{"mechanisms":[{"steps":2,"type":"non-private"}],"relation":"add/remove","unit":"patch"}': Spending.of(
        NonPrivate(steps=2), unit=Unit.PATCH
    ),
    b'{"mechanisms":[],"relation":"add/remove","unit":"patient"}': Spending.of(),
}


@pytest.mark.parametrize(("written", "spending"), GOLDEN.items())
def test_the_bytes_of_a_spending_never_change(written: bytes, spending: Spending) -> None:
    assert canonical(spending.model_dump(mode="json")) == written
    assert Spending.model_validate_json(written) == spending


def test_every_mechanism_type_is_pinned() -> None:
    union, *_ = get_args(Mechanism)
    pinned = {type(mechanism) for spending in GOLDEN.values() for mechanism in spending.mechanisms}
    assert pinned == set(get_args(union))


def test_an_unknown_mechanism_is_refused_not_skipped() -> None:
    with pytest.raises(ValueError, match="union_tag_invalid"):
        Spending.model_validate_json(
            b'{"mechanisms":[{"steps":2,"type":"laplace"}],"relation":"add/remove","unit":"patient"}'
        )
