"""Imports without a search for garbage: it goes on afterwards, however they end."""

import gc

import pytest

from infra.importing import importing


@pytest.mark.parametrize("searching", [True, False], ids=["searching", "not searching"])
@pytest.mark.parametrize("error", [None, ModuleNotFoundError], ids=["good", "failed"])
def test_the_search_rests_meanwhile_and_is_then_as_it_was(searching: bool, error: type[Exception] | None) -> None:
    before = gc.isenabled()
    (gc.enable if searching else gc.disable)()
    try:
        with importing():
            assert not gc.isenabled()
            if error is not None:
                raise error
    except ModuleNotFoundError:
        assert error is not None
    finally:
        found = gc.isenabled()
        (gc.enable if before else gc.disable)()
    assert found is searching


def test_what_was_made_is_not_looked_at_again() -> None:
    frozen = gc.get_freeze_count()
    with importing():
        kept = [[] for _ in range(1000)]
    assert gc.get_freeze_count() >= frozen + len(kept)
