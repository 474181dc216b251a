from itertools import product

import pytest

from tasks.contracts.monitoring import DriftReport, PerformanceReport
from tasks.monitoring.verdict import reach_verdict


def drift(alarm):
    return DriftReport(
        reference="the training rows",
        reference_digest="a" * 64,
        window_rows=500,
        changes=(),
        drifted=("x",) if alarm else (),
        alarm=alarm,
        reason="as said",
        false_alarm_rate=0.01,
    )


def performance(fell, *, value=0.8, matured=500):
    return PerformanceReport(
        metric="accuracy", rows=500, due=500, matured=matured, value=value, fell=fell, reason="as measured"
    )


LATE = performance(None, value=None, matured=10)
NOT_DUE = PerformanceReport(metric="accuracy", rows=500, due=0, matured=0, fell=None, reason="No label is due yet.")


@pytest.mark.parametrize(
    ("found", "status", "cause"),
    [
        ({"broken": ["x: 3 rows above 10"], "drift": drift(True), "persistent": True}, "BROKEN DATA", None),
        ({"drift": drift(False), "performance": performance(True)}, "RETRAIN", "performance"),
        ({"drift": drift(None), "performance": performance(True)}, "RETRAIN", "performance"),
        ({"drift": drift(True), "persistent": True}, "RETRAIN", "drift"),
        ({"drift": drift(True), "persistent": True, "performance": performance(True)}, "RETRAIN", "performance"),
        ({"drift": drift(True), "performance": performance(False)}, "WATCH", None),
        ({"drift": drift(None), "performance": performance(False)}, "UNKNOWN", None),
        ({"drift": None}, "UNKNOWN", None),
        ({"drift": drift(False), "performance": LATE}, "WATCH", None),
        ({"drift": drift(False), "performance": NOT_DUE}, "FINE", None),
        ({"drift": drift(False), "performance": performance(False)}, "FINE", None),
        ({"drift": drift(False)}, "FINE", None),
    ],
    ids=[
        "broken data is not drift",
        "the figure fell",
        "the figure fell, drift unknown",
        "drift persists",
        "both",
        "drift for the first time",
        "drift unknown",
        "not looked at",
        "labels do not arrive",
        "labels are not due",
        "nothing",
        "nothing, no labels",
    ],
)
def test_the_verdict_is_the_first_that_holds(found, status, cause):
    said = reach_verdict(**{"broken": [], "persistent": False, "performance": None, **found})
    assert (said.status, said.cause) == (status, cause)
    assert said.reasons
    assert said.next_step


def test_only_a_known_state_is_fine_and_only_an_alarm_retrains():
    for broken, alarm, persistent, fell in product(
        [[], ["bad"]], [True, False, None], [True, False], [True, False, None]
    ):
        said = reach_verdict(
            broken=broken, drift=drift(alarm), persistent=persistent, performance=performance(fell)
        ).status
        assert (said == "FINE") <= (alarm is False and not broken and fell is not True)
        assert (said == "RETRAIN") == (not broken and (fell is True or (alarm is True and persistent)))


def test_rows_that_were_set_aside_are_said():
    said = reach_verdict(broken=[], drift=drift(False), persistent=False, performance=None, quarantined_rows=1_234)
    assert "1,234 rows were set aside." in said.reasons
