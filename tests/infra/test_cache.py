"""What was computed once is found again, and never believed when it is torn."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.cache import remember
from tests.tasks.release.waiting import own_workspace


class Maker:
    """Computes a value and counts how often it was asked to."""

    def __init__(self, value: bytes) -> None:
        self.value, self.asked = value, 0

    def __call__(self) -> bytes:
        self.asked += 1
        return self.value


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_workspace(tmp_path, monkeypatch):
        yield tmp_path


@pytest.mark.parametrize("value", [b"", b"a value\nof two lines"], ids=["empty", "two lines"])
def test_the_second_call_computes_nothing_and_another_key_is_another_value(home: Path, value: bytes) -> None:
    make, other = Maker(value), Maker(b"other")
    assert [remember("x", ["a", "b"], make) for _ in range(2)] == [value] * 2
    assert [remember("x", key, other) for key in (["a"], ["ab"], ["a", "b", ""])] == [b"other"] * 3
    assert (make.asked, other.asked) == (1, 3)


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-1], lambda raw: b"", lambda raw: raw[:-1] + b"?", lambda raw: b"?" + raw[1:]],
    ids=["torn", "empty", "a flipped byte", "a flipped seal"],
)  # fmt: skip
def test_a_damaged_file_is_made_again(home: Path, damage) -> None:  # type: ignore[no-untyped-def]
    make = Maker(b"value")
    remember("x", ["a"], make)
    (kept,) = (home / "cache" / "x").iterdir()
    kept.write_bytes(damage(kept.read_bytes()))
    assert [remember("x", ["a"], make) for _ in range(2)] == [b"value"] * 2
    assert make.asked == 2


def test_where_nothing_can_be_kept_the_value_is_returned_and_somebody_told(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (home / "cache").write_text("a file, not a folder")
    assert remember("x", ["a"], Maker(b"value")) == b"value"
    assert "cannot be kept" in caplog.text


def test_what_nobody_asked_for_in_a_long_time_is_removed(home: Path) -> None:
    for key in ("asked for", "forgotten"):
        remember("x", [key], Maker(b"value"))
    kept = set((home / "cache" / "x").iterdir())
    for file in kept:
        os.utime(file, (0, 0))
    again = Maker(b"value")
    remember("x", ["asked for"], again)
    for number in range(100):
        remember("x", [str(number)], Maker(b"value"))
    assert len(kept & set((home / "cache" / "x").iterdir())) == 1
    remember("x", ["asked for"], again)
    assert again.asked == 0
