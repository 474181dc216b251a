"""What goes with predicting a class, a set of labels or a value: keys and metrics that cannot be meant are refused.

Nothing is ignored in silence: a key that says nothing in a regression would let somebody believe that it did.
"""

from collections.abc import Iterator
from typing import Any

from tasks.contracts.metrics import IN_UNITS_OF_THE_TARGET, OF_CLASSES, OF_SETS, OF_VALUES
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
    ("network", "architecture", "augment", "mixup"): 0,
}

_ONE_CLASS = "needs one class a row, and a multilabel project has any number of labels"


def check_task(data: dict[str, Any]) -> Iterator[Problem]:
    """Yield what does not go with the task of this project.yaml."""
    yield from _check_own(data)
    if data.get("task") == "multilabel" or data.get("labels"):
        yield from _check_multilabel(data)
        return
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
        yield from _check_metrics(data, "a classification")


def _check_regression(data: dict[str, Any], target: str) -> Iterator[Problem]:
    for path, neutral in _list_neutral(data):
        given = _at(data, path)
        if given not in (_ABSENT, neutral, None):
            said = f"is about classes, and {target!r} is a value (a regression): leave it out; received {show_received(given)}."
            yield Problem(path, said)
    yield from _check_metrics(data, "a regression")
    yield from _check_margins(data)


def _check_multilabel(data: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is about one class a row, and what does not go with several labels yet."""
    target = data.get("target")
    if isinstance(target, str) and _at(data, ("columns", target)) is not _ABSENT:
        yield Problem(
            ("columns", target), "is the name of the set of `labels`: it is made of their columns, leave it out here."
        )
    for path, neutral in [*_list_neutral(data), (("export", "onnx"), False)]:
        given = _at(data, path)
        if given not in (_ABSENT, neutral, None):
            yield Problem(path, f"{_ONE_CLASS}: leave it out; received {show_received(given)}.")
    for place in _list_preparations(data):
        if (given := _at(data, (*place, "category", "encode"))) == "target":
            yield Problem((*place, "category", "encode"), f"{_ONE_CLASS}: one_hot or ordinal; received {given}.")
        if (given := _at(data, (*place, "select", "method"))) not in (_ABSENT, "none"):
            yield Problem((*place, "select", "method"), f"{_ONE_CLASS}: leave it out; received {given}.")
    if _list_own(data):
        yield Problem(
            ("evaluation", "metrics"),
            f"metrics of the project's own do not read sets of labels yet: {', '.join(OF_SETS)}.",
        )
    yield from _check_metrics(data, "a multilabel project")


def _list_preparations(data: dict[str, Any]) -> list[Path]:
    candidates = data.get("candidates")
    names = list(candidates) if isinstance(candidates, dict) else []
    return [("prepare",), *(("candidates", name, "prepare") for name in names)]


def _list_neutral(data: dict[str, Any]) -> Iterator[tuple[Path, object]]:
    yield from _NEUTRAL.items()
    candidates = data.get("candidates")
    for name in candidates if isinstance(candidates, dict) else ():
        yield from ((("candidates", name, *path), neutral) for path, neutral in _NEUTRAL_OF_CANDIDATES.items())


_METRICS = {"a classification": OF_CLASSES, "a multilabel project": OF_SETS, "a regression": OF_VALUES}


def _check_metrics(data: dict[str, Any], what: str) -> Iterator[Problem]:
    """Yield the metrics that are known and of another task; unknown names are told by `keepfit check`."""
    fitting, known = _METRICS[what], {name for names in _METRICS.values() for name in names}
    own = {name: one.get("uses") for _, name, one in _list_own(data)}
    choices = [*fitting, *(name for name, uses in own.items() if (uses == "values") == (fitting is OF_VALUES))]
    wrong = {*known.difference(fitting), *(name for name in own if name not in choices)}
    for path, name in _list_metrics(data):
        if name in wrong:
            yield Problem(path, f"expected a metric of {what}: {', '.join(choices)}; received {name}.")


def _check_own(data: dict[str, Any]) -> Iterator[Problem]:
    """Yield names of the project's own metrics that are taken, or stand where only others can."""
    seen: list[str] = []
    for place, name, _ in _list_own(data):
        if name in (*OF_CLASSES, *OF_SETS, *OF_VALUES):
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
