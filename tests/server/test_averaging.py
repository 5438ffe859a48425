"""The streamed average: right, and the same bytes in any order of arrival."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from server.run.averaging import MAX_PATIENTS, StreamedAverage

UPDATES = st.lists(
    st.tuples(arrays(np.float32, (3,), elements=st.floats(-1000, 1000, width=32)), st.integers(1, 500)),
    min_size=1,
    max_size=4,
)


@given(UPDATES)
def test_it_is_the_weighted_mean_and_does_not_depend_on_order(
    updates: list[tuple[np.ndarray[tuple[int], np.dtype[np.float32]], int]],
) -> None:
    results = set()
    for order in itertools.permutations(updates):
        average = StreamedAverage({"w": (3,)})
        for values, weight in order:
            average.add({"w": values}, weight)
        results.add(average.result()["w"].tobytes())
    assert len(results) == 1
    mean = np.average([u for u, _ in updates], axis=0, weights=[w for _, w in updates])
    np.testing.assert_allclose(np.frombuffer(results.pop(), np.float32), mean, rtol=1e-5, atol=1e-6)


def test_more_patients_than_the_integers_hold_are_refused() -> None:
    average = StreamedAverage({"w": (1,)})
    with pytest.raises(OverflowError, match="widen"):
        average.add({"w": np.ones(1, np.float32)}, MAX_PATIENTS + 1)
