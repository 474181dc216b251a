"""YAML with lines: plain data in, plain data out, and nothing that YAML could do beyond that."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import SpecError
from infra.projects.located_yaml import NODE_LIMIT, SIZE_LIMIT_BYTES, parse_yaml, read_yaml

FILE = Path("project.yaml")
# YAML folds odd line ends; and PyYAML, which writes 1.1, leaves words bare that 1.2 reads as numbers, such as 0E0.
NUMBER_IN_1_2 = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
texts = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cn"))).filter(
    lambda text: not NUMBER_IN_1_2.fullmatch(text)
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=6)


@pytest.mark.slow
@given(st.dictionaries(texts, values), st.booleans())
def test_what_was_written_is_read_back(data: dict[str, Any], flow: bool) -> None:
    written = yaml.safe_dump(data, allow_unicode=True, default_flow_style=flow)
    assert parse_yaml(written, FILE).data == data


@pytest.mark.parametrize(
    "loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)], ids=["python", "c"]
)
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("12:30", "12:30"), ("2013-07-01", "2013-07-01"), ("0x1F", "0x1F"), ("1_000", "1_000"),
        (".inf", ".inf"), ("1e999", "1e999"), ("1e-3", 0.001), ("010", 10), ("true", True), ("'true'", "true"), ('"1"', "1"),
        ("~", None), ("", None), ("null", None), ("! 5", "5"), ("-3", -3), (".5", 0.5), ("9" * 401, "9" * 401),
    ],
)  # fmt: skip
def test_scalars_are_read_as_in_yaml_1_2(
    monkeypatch: pytest.MonkeyPatch, loader: type, text: str, value: object
) -> None:
    monkeypatch.setattr("infra.projects.located_yaml._LOADER", loader)
    read = parse_yaml(f"a: {text}\n", FILE).data["a"]
    assert read == value
    assert type(read) is type(value)


def test_each_part_knows_the_line_on_which_it_begins() -> None:
    text = "# top\na: 1\nb:\n  c:\n    - x\n    - {y: 1,\n       z: 2}\n  d: >-\n    folded\n    text\n  e: 3\n"
    located = parse_yaml(text, FILE)
    lines = {("a",): 2, ("b",): 3, ("b", "c", 1): 6, ("b", "c", 1, "y"): 6, ("b", "c", 1, "z"): 7, ("b", "e"): 11}
    assert {where: located.line_of(where) for where in lines} == lines


def test_a_part_that_is_not_there_has_the_line_of_what_should_hold_it() -> None:
    located = parse_yaml("a: 1\nb:\n  c: 2\n", FILE)
    assert [located.line_of(where) for where in [("b", "nothing", 3), ("z",), ()]] == [2, 1, 1]


def test_an_alias_means_what_its_anchor_held_and_points_at_it() -> None:
    located = parse_yaml("a: &one {b: 1}\nc: *one\n", FILE)
    assert located.data == {"a": {"b": 1}, "c": {"b": 1}}
    assert (located.line_of(("c",)), located.line_of(("c", "b"))) == (2, 1)


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", r"yaml:3: the key 'a' stands here a second time, first on line 1"),
        ("a:\n  b: 1\n  'b': 2\n", r"yaml:3: the key 'b'"),
        ("a: 1\nb: [\n", r"yaml:3: no valid YAML"),
        ("a: b: c\n", r"yaml:1: no valid YAML"),
        ("a: 1\nb: \x07\n", r"yaml:\d: no valid YAML"),
        ("just text\n", r"expected keys and values, received 'just text'"),
        ("", r"expected keys and values, received None"),
        ("- a\n", r"expected keys and values"),
        ("a: 1\nb: !!python/object/apply:os.system [id]\n", r"yaml:2: expected plain values, received the tag"),
        ("a: !!str 5\n", r"received the tag"),
        ("a: &loop [*loop]\n", r"no anchor &loop stands before"),
        ("a: *nowhere\n", r"no anchor &nowhere"),
        ("a: {<<: {b: 1}}\n", r"merge keys"),
        ("? [a]\n: 1\n", r"yaml:1: expected a name as key"),
        ("a: 1\n---\nb: 1\n", r"yaml:2: expected one document"),
        (LAUGHS, rf"yaml:5: more than {NODE_LIMIT} values"),
        ("a: " + "[" * 60_000, "nested deeper than 40 levels"),
        ("a: " + "{a: " * 60 + "}" * 60, "nested deeper than 40 levels"),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_what_is_no_plain_mapping_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_yaml(text, FILE)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "project.yaml").write_text("a: " + "x" * SIZE_LIMIT_BYTES)
    with pytest.raises(SpecError, match="larger than 256 KiB"):
        read_yaml(tmp_path / "project.yaml")


def test_a_file_that_is_no_utf_8_is_refused_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "project.yaml").write_bytes("a: 1\nb: Größe\n".encode("latin-1"))
    with pytest.raises(SpecError, match=r"yaml:2: expected UTF-8 text, received byte 0xf6"):
        read_yaml(tmp_path / "project.yaml")


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "project.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    located = read_yaml(tmp_path / "project.yaml")
    assert located.data == {"a": 1, "b": 2}
    assert located.line_of(("b",)) == 2


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"cannot be read: No such file"):
        read_yaml(tmp_path / "project.yaml")


@given(st.binary(max_size=60) | st.text("a:[]{}&*!-?|>'\"% \n\t#,1", max_size=40).map(str.encode))
def test_any_bytes_are_a_mapping_or_a_clear_refusal(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("yaml") / "project.yaml"
    path.write_bytes(raw)
    try:
        assert isinstance(read_yaml(path).data, dict)
    except SpecError as error:
        assert str(path) in error.message  # noqa: PT017
