"""Which rows a batch names, known without reading it again."""

import hypothesis.strategies as st
import numpy as np
import pandas as pd
from hypothesis import given

from tasks.maturity import Delivery, count_matured, join_labels
from tasks.row_index import are_among, count_rows, index_rows, number_ids
from tests.tasks.test_maturity import DELAY, HOURS, at, deliveries, predictions

IDS = st.lists(st.text(max_size=12), max_size=30)


@given(IDS, IDS)
def test_by_their_numbers_the_same_ids_are_found_as_by_their_names(asked: list[str], known: list[str]) -> None:
    ids, there = (pd.Series(names, dtype="str") for names in (asked, known))
    found = are_among(number_ids(ids), np.sort(number_ids(there)))
    assert found.tolist() == ids.isin(there).tolist()


def test_an_id_has_the_same_number_everywhere_and_in_every_type_of_text() -> None:
    """What is kept is read by later versions of the libraries."""
    names = ["2013-07-14/UA1545/EWR", "é", ""]
    expected = number_ids(pd.Series(names, dtype="str"))
    assert number_ids(pd.Series(names, dtype=object)).tolist() == expected.tolist()
    assert number_ids(pd.Series(names, dtype="category").astype("str")).tolist() == expected.tolist()
    assert expected[0] == 280_472_302_961_069_023


@given(predictions, deliveries, HOURS)
def test_by_numbers_as_many_rows_have_matured_as_by_joining_their_labels(
    scored: pd.DataFrame, given: list[Delivery], hours: int
) -> None:
    named = [index_rows(one.labels).ids for one in given if one.known_at <= at(hours)]
    known = np.sort(np.concatenate(named)) if named else np.zeros(0, dtype=np.uint64)
    found = count_rows(index_rows(scored), known, at(hours), DELAY)
    assert found == count_matured(join_labels(scored, given, at(hours), DELAY))
