"""What shares a long preparation runs on one worker of pytest-xdist; a version of either may let that go in silence."""

import os

import pytest


@pytest.mark.xdist_group("together")
def test_tests_of_a_group_stay_together(request: pytest.FixtureRequest) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("without pytest-xdist all tests share one process")
    assert request.node.nodeid.endswith("@together")
