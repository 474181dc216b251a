import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.monitoring.persistence import persists

ALARMS = st.lists(st.sampled_from([True, False, None]), max_size=8)


@pytest.mark.parametrize(
    ("alarms", "needed", "of_windows", "said"),
    [
        ([True], 1, 1, True),
        ([True, False], 1, 2, False),
        ([True, None, True], 2, 3, True),
        ([True, None, True], 2, 2, False),
        ([True, None], 1, 2, False),
        ([], 1, 1, False),
    ],
    ids=["one of one", "the last is quiet", "two of three", "too long ago", "the last is unknown", "nothing"],
)
def test_alarms_persist_with_k_of_the_last_m_windows_the_last_among_them(alarms, needed, of_windows, said):
    assert persists(alarms, needed=needed, of_windows=of_windows) is said


@given(ALARMS, st.integers(1, 5), st.integers(1, 5))
def test_what_lies_before_the_windows_looked_back_on_does_not_count(alarms, needed, of_windows):
    recent = [*[True] * 5, *alarms][-of_windows:]
    assert persists([*[True] * 5, *alarms], needed=needed, of_windows=of_windows) == persists(
        recent, needed=needed, of_windows=of_windows
    )


@given(ALARMS, st.integers(1, 4))
def test_asking_for_more_alarms_never_finds_more(alarms, needed):
    assert persists(alarms, needed=needed, of_windows=5) >= persists(alarms, needed=needed + 1, of_windows=5)
