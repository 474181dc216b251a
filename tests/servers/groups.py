"""Stops what a group of tests shares when its last test is over: pytest keeps a session's fixtures until all tests are."""

from collections.abc import Callable

import pytest

__all__ = ["pytest_runtest_teardown"]

STOPS = pytest.StashKey[dict[str, Callable[[], object]]]()


def stop_after_group(session: pytest.Session, group: str, stop: Callable[[], object]) -> None:
    """Let `stop` be called once, as soon as no test of this group of pytest-xdist comes any more."""
    session.stash.setdefault(STOPS, {})[group] = stop


def find_group(item: pytest.Item) -> str | None:
    mark = item.get_closest_marker("xdist_group")
    return None if mark is None else str(mark.args[0])


@pytest.hookimpl(trylast=True)  # after the fixtures of the last test and of its module
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    group, stops = find_group(item), item.session.stash.get(STOPS, {})
    if group in stops and not _comes_again(group, item, nextitem):
        stops.pop(group)()


def _comes_again(group: str, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    if hasattr(item.config, "workerinput"):  # xdist gives the tests of a group to one worker, without a break
        return nextitem is not None and find_group(nextitem) == group
    left = item.session.items[item.session.items.index(item) + 1 :]
    return any(find_group(each) == group for each in left)
