"""Which rows a batch names, known without reading it again."""

import hypothesis.strategies as st
import numpy as np
import pandas as pd
from hypothesis import given

from tasks.row_index import are_among, number_ids

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
