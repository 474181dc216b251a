"""The nearest match for a name that somebody misspelt."""

from collections.abc import Iterable
from difflib import SequenceMatcher


def suggest(word: str, choices: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest choice, or nothing where none is near.

    Nearest by edit distance (one insertion, deletion, substitution or swap of neighbours), then by difflib's ratio.

    >>> suggest("acuracy", ["accuracy", "f1_macro"])
    " Did you mean 'accuracy'?"
    >>> suggest("zebra", ["accuracy", "f1_macro"])
    ''
    """
    ranked = sorted((_distance(word, choice), choice) for choice in set(choices))
    return f" Did you mean {ranked[0][1]!r}?" if ranked and ranked[0][0] < _FAR else ""


_FAR = (100, 0.0)


def _distance(word: str, choice: str) -> tuple[int, float]:
    """How far apart, least first: the number of edits where they are few, then 1 minus difflib's ratio."""
    left, right = word.lower(), choice.lower()
    if abs(len(left) - len(right)) > len(right) // 2 + 1:
        return _FAR
    unlike = 1 - SequenceMatcher(None, left, right, autojunk=False).ratio()
    edits = _count_edits(left, right)
    return (edits, unlike) if unlike <= 0.4 or edits == 1 < len(right) else _FAR


def _count_edits(left: str, right: str) -> int:
    """Return the optimal string alignment distance (Damerau 1964, without edits of edited parts)."""
    before: list[int] = []
    last = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        row = [i]
        for j, b in enumerate(right, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
