"""What goes with predicting a class and what with predicting a value: keys and metrics that cannot be meant are refused.

Nothing is ignored in silence: a key that says nothing in a regression would let somebody believe that it did.
"""

from collections.abc import Iterator
from typing import Any

from tasks.contracts.metrics import IN_UNITS_OF_THE_TARGET, OF_CLASSES, OF_VALUES
from tasks.project.problems import Path, Problem, show_received

_REGRESSION_TARGETS = ("number", "integer")
_NEUTRAL: dict[tuple[str, ...], object] = {
    ("evaluation", "positive"): None,
    ("split", "stratify"): False,
    ("decision", "threshold"): "even",
}
"""Keys about classes, with the value that asks for nothing."""

_NEUTRAL_OF_CANDIDATES: dict[tuple[str, ...], object] = {
    ("balance", "weights"): "none",
    ("balance", "resample"): "none",
    ("calibrate",): "none",
}


def check_task(data: dict[str, Any]) -> Iterator[Problem]:
    """Yield what does not go with the task of this project.yaml."""
    yield from _check_own(data)
    kind, target = _find_target_type(data), data.get("target")
    task = data.get("task")
    if kind is None:
        return
    if task == "classification" and kind == "number":
        said = f"{target!r} is of type number: its values are no classes. Declare it integer, category or boolean."
        yield Problem(("task",), said)
    elif task == "regression" and kind not in _REGRESSION_TARGETS:
        said = f"a regression needs a target of type {' or '.join(_REGRESSION_TARGETS)}; {target!r} is of type {kind}."
        yield Problem(("task",), said)
    elif task == "regression" or (task is None and kind == "number"):
        yield from _check_regression(data, str(target))
    else:
        yield from _check_metrics(data, regression=False)


def _check_regression(data: dict[str, Any], target: str) -> Iterator[Problem]:
    for path, neutral in _list_neutral(data):
        given = _at(data, path)
        if given not in (_ABSENT, neutral, None):
            said = f"is about classes, and {target!r} is a value (a regression): leave it out; received {show_received(given)}."
            yield Problem(path, said)
    yield from _check_metrics(data, regression=True)
    yield from _check_margins(data)


def _list_neutral(data: dict[str, Any]) -> Iterator[tuple[Path, object]]:
    yield from _NEUTRAL.items()
    candidates = data.get("candidates")
    for name in candidates if isinstance(candidates, dict) else ():
        yield from ((("candidates", name, *path), neutral) for path, neutral in _NEUTRAL_OF_CANDIDATES.items())


def _check_metrics(data: dict[str, Any], *, regression: bool) -> Iterator[Problem]:
    """Yield the metrics that are known and of the other task; unknown names are told by `keepfit check`."""
    fitting, others = (OF_VALUES, OF_CLASSES) if regression else (OF_CLASSES, OF_VALUES)
    own = {name: one.get("uses") for _, name, one in _list_own(data)}
    choices = [*fitting, *(name for name, uses in own.items() if (uses == "values") == regression)]
    wrong = {*others, *(name for name in own if name not in choices)}
    for path, name in _list_metrics(data):
        if name in wrong:
            what = "a regression" if regression else "a classification"
            yield Problem(path, f"expected a metric of {what}: {', '.join(choices)}; received {name}.")


def _check_own(data: dict[str, Any]) -> Iterator[Problem]:
    """Yield names of the project's own metrics that are taken, or stand where only others can."""
    seen: list[str] = []
    for place, name, _ in _list_own(data):
        if name in (*OF_CLASSES, *OF_VALUES):
            yield Problem(
                ("evaluation", "metrics", place, "name"), f"{name!r} is the name of a metric that there is already."
            )
        elif name in seen:
            yield Problem(("evaluation", "metrics", place, "name"), f"{name!r} stands here a second time.")
        seen.append(name)
    if _at(data, ("decision", "threshold")) == "tuned" and _at(data, ("decision", "costs")) in (_ABSENT, None):
        named = _at(data, ("decision", "metric"))
        name = _at(data, ("evaluation", "metric")) if named in (_ABSENT, None) else named
        if name in seen:
            said = f"a threshold is tuned for a metric of labels that comes with keepfit, or for `costs`; {name!r} is your own."
            yield Problem(("decision", "metric"), said)


def _list_metrics(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    paths: list[tuple[Path, Any]] = [(("evaluation", "metric"), _at(data, ("evaluation", "metric")))]
    also = _at(data, ("evaluation", "also"))
    paths += [
        (("evaluation", "also", place), name) for place, name in enumerate(also if isinstance(also, list) else ())
    ]
    for section in ("floors", "guards"):
        named = _at(data, ("gate", section))
        paths += [(("gate", section, name), name) for name in (named if isinstance(named, dict) else ())]
    return ((path, name) for path, name in paths if isinstance(name, str))


def _list_own(data: dict[str, Any]) -> list[tuple[int, str, dict[str, Any]]]:
    """Return place, name and description of each of the project's own metrics."""
    listed = _at(data, ("evaluation", "metrics"))
    found = enumerate(listed) if isinstance(listed, list) else ()
    return [
        (place, one["name"], one) for place, one in found if isinstance(one, dict) and isinstance(one.get("name"), str)
    ]


def _check_margins(data: dict[str, Any]) -> Iterator[Problem]:
    """Yield the margins that are used and left out: their defaults are meant for shares, not for units of a target."""
    metric = _at(data, ("evaluation", "metric"))
    metric = "rmse" if metric is _ABSENT else metric
    unbounded = [name for _, name, one in _list_own(data) if None in (one.get("range") or [])]
    if metric not in (*IN_UNITS_OF_THE_TARGET, *unbounded):
        return
    for path in _list_margins(data):
        if _at(data, path) is _ABSENT:
            said = f"expected a number in the units of {metric}; the key is missing."
            yield Problem(path, f"{said} The default is meant for metrics between 0 and 1.")


def _list_margins(data: dict[str, Any]) -> Iterator[Path]:
    """Yield the margins that this project.yaml makes use of."""
    by_schedule = data.get("schedule") is not None and _at(data, ("retraining", "policies", "schedule")) is _ABSENT
    policies = _at(data, ("retraining", "policies"))
    named = [_at(data, ("gate", "policy")), *(policies.values() if isinstance(policies, dict) else ())]
    if "non_inferiority" in named or by_schedule:
        yield ("gate", "margin")
    if _at(data, ("gate", "slices")) not in (_ABSENT, None, []):
        yield ("gate", "slice_margin")
    if isinstance(data.get("monitoring"), dict):
        yield ("monitoring", "performance", "margin")
        if _at(data, ("retraining", "watch", "windows")) != 0:
            yield ("retraining", "watch", "margin")


_ABSENT = object()


def _at(data: Any, path: Path) -> Any:
    """Return what stands there, or _ABSENT."""
    for step in path:
        if not isinstance(data, dict) or step not in data:
            return _ABSENT
        data = data[step]
    return data


def _find_target_type(data: dict[str, Any]) -> str | None:
    target = data.get("target")
    kind = _at(data, ("columns", target, "type")) if isinstance(target, str) else None
    return kind if isinstance(kind, str) else None
