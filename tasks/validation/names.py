"""Declared column names held against received ones: missing, unknown, and near misses that the eye cannot see."""

import unicodedata
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from infra.suggestion import suggest

LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһкмтвнАЕОРСУХІЈЅКМТВНαοερνικτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijsdhkmtbhAEOPCYXIJSKMTBHaoepviktuxABEZHIKMNOPTYX",
)
"""Cyrillic and Greek letters that look Latin (after Unicode TR39, the letters that keyboards mix up)."""


def compare_names(received: Sequence[str], declared: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the declared names that are missing and the received ones that are unknown; exact, in order."""
    return [name for name in declared if name not in received], [name for name in received if name not in declared]


def explain_missing(name: str, unknown: Iterable[str]) -> str:
    """Say in words that a column is missing, and which unknown one may be meant.

    >>> explain_missing("petal_width", ["petal_lenght", "petal_widht"])
    "'petal_width' is missing. Did you mean 'petal_widht'?"
    """
    unknown = list(unknown)
    twin = next((other for other in unknown if _skeleton(other) == _skeleton(name)), None)
    if twin is None:
        return f"{name!r} is missing.{suggest(name, unknown)}".removesuffix(".")
    if twin.casefold() == name.casefold():
        return f"{name!r} is missing; {twin!r} differs in case"
    if twin.strip() == name.strip():
        return f"{name!r} is missing; {twin!r} differs in white space"
    return (
        f"{name!r} is missing; {twin!r} looks the same but is written with other characters "
        f"({_points(twin, name)}, expected {_points(name, twin)})"
    )


def _skeleton(name: str) -> str:
    """Reduce a name to what the eye sees: compatibility forms composed, look-alikes to Latin, no case, no edges."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).translate(LOOKALIKES)).casefold().strip()


def _points(name: str, other: str) -> str:
    """Return the code points in which a name differs from another."""
    edits = SequenceMatcher(None, name, other, autojunk=False).get_opcodes()
    letters = [letter for tag, start, end, *_ in edits if tag != "equal" for letter in name[start:end]]
    return " ".join(f"U+{ord(letter):04X}" for letter in dict.fromkeys(letters)) or "nothing"
