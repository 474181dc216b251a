"""Where the time of an epoch went."""

import pytest

from flows.cli.looking import describe_paces
from tasks.contracts.models import FitReport, ModelRef
from tasks.models.pacing import EpochTime, summarise
from tasks.policies import VOLATILE

FIRST, SECOND, THIRD = EpochTime(100, 9.0, 1.0, 10.0), EpochTime(100, 3.0, 1.0, 4.0), EpochTime(100, 4.0, 3.0, 6.0)


def test_the_first_epoch_which_also_prepares_is_left_out_unless_it_is_the_only_one() -> None:
    pace, only = summarise([FIRST, SECOND, THIRD]), summarise([FIRST])
    assert pace is not None
    assert (pace.epochs, pace.rows_a_second) == (2, 20.0)
    assert (pace.input_seconds, pace.compute_seconds, pace.other_seconds) == (2.0, 1.5, 1.5)
    assert only is not None
    assert (only.epochs, only.rows_a_second, only.compute_seconds) == (1, 10.0, 8.0)
    assert summarise([]) is None


@pytest.mark.parametrize("times", [[FIRST], [FIRST, SECOND], [FIRST, SECOND, THIRD]], ids=["one", "two", "three"])
def test_the_parts_are_the_whole(times: list[EpochTime]) -> None:
    pace, counted = summarise(times), times[1:] or times
    assert pace is not None
    parts = pace.input_seconds + pace.compute_seconds + pace.other_seconds
    assert parts == pytest.approx(sum(each.whole_s for each in counted) / len(counted))


def test_show_tells_the_split_of_each_network_and_no_key_is_made_of_it() -> None:
    tree = ModelRef.model_construct(candidate="tree", pace=None)
    net = ModelRef.model_construct(candidate="net", pace=summarise([SECOND]))
    assert describe_paces(FitReport.model_construct(chosen=tree, beside=(net,))) == [
        "net: 25 rows a second; an epoch took 1.00 s of waiting for rows, 2.00 s of steps and 1.00 s of the rest"
    ]
    assert "pace" in VOLATILE
