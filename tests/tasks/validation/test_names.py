import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.validation.names import compare_names, explain_missing


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.lists(st.sampled_from("abcdef"), unique=True))
def test_each_name_is_missing_unknown_or_both_sides(received, declared):
    missing, unknown = compare_names(received, declared)
    assert set(missing) == set(declared) - set(received)
    assert set(unknown) == set(received) - set(declared)


@pytest.mark.parametrize(
    ("declared", "received", "hint"),
    [
        ("café", unicodedata.normalize("NFD", "café"), "U+0301"),
        ("size", "sіze", "U+0456, expected U+0069"),
        ("size", "ｓize", "U+FF53, expected U+0073"),
        ("size", "Size", "differs in case"),
        ("size", "size ", "differs in white space"),
        ("size", "sizes", "Did you mean 'sizes'?"),
    ],
    ids=["composed", "cyrillic", "full width", "case", "space", "typing"],
)
def test_a_twin_of_a_missing_column_is_named(declared, received, hint):
    assert hint in explain_missing(declared, ["other", received])


def test_a_stranger_is_no_twin():
    assert explain_missing("size", ["weather"]) == "'size' is missing"
