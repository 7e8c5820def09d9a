"""Back-off and quantities."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.backoff import Backoff
from shared.kernel.quantities import format_bytes, parse_bytes


@given(st.integers(1, 200), st.text(max_size=5))
def test_a_delay_grows_never_beyond_its_cap_and_is_the_same_each_time(attempt: int, key: str) -> None:
    backoff = Backoff()
    delay = backoff.delay(attempt, key=key)
    assert timedelta(0) < delay <= backoff.cap
    assert delay == backoff.delay(attempt, key=key)


@pytest.mark.parametrize(
    ("text", "size"),
    [("128Mi", 128 << 20), ("1Gi", 1 << 30), ("1.5Gi", 3 << 29), ("1k", 1000), ("100m", 1), ("1e3", 1000), ("0", 0)],
)
def test_quantities_are_read_as_kubernetes_does(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "Mi", "12 Mi", "1KiB", "x", "--1"])
def test_what_is_no_quantity_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity such as 128Mi"):
        parse_bytes(text)


@given(st.integers(0, 1 << 50))
def test_what_is_formatted_is_read_as_the_same(size: int) -> None:
    assert parse_bytes(format_bytes(size)) == size


@pytest.mark.parametrize(("text", "size"), [("1e999999", 2**63 - 1), ("-9e99", -(2**63 - 1)), ("10E", 2**63 - 1)])
def test_a_quantity_beyond_64_bits_is_capped(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["1e9999999999999999999", "1e-9999999999999999999"])
def test_what_is_beyond_all_numbers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="beyond all quantities"):
        parse_bytes(text)
