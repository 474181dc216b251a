from hypothesis import given
from hypothesis import strategies as st

from infra.figures import tell

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(FINITE, st.integers(2, 6), st.booleans())
def test_a_figure_reads_as_nearly_the_number_it_is(value: float, decimals: int, sign: bool) -> None:
    read = float(tell(value, decimals, sign=sign).replace(",", ""))
    assert (
        abs(read - value) <= max(0.5, 1e-15 * abs(value))
        if abs(value) >= 10_000
        else abs(read - value) <= 0.5 * 10**-decimals
    )
    assert (read == 0) <= (abs(value) <= 5e-324 or value == 0)


@given(st.floats(0.001, 9_999))
def test_a_share_and_what_is_near_it_reads_as_it_always_did(value: float) -> None:
    assert tell(value) == f"{value:.4f}"
    assert tell(-value, 3, sign=True) == (f"{-value:+.3f}")


def test_what_is_no_number_is_said_as_it_is() -> None:
    assert [tell(float(word)) for word in ("nan", "inf", "-inf")] == ["nan", "inf", "-inf"]
