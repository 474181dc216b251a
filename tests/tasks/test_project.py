"""project.yaml: what is right is read, what is wrong is said with line, path, what was expected and the nearest match."""

import copy
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from infra.errors import SpecError, UsageError
from infra.projects import LocatedYaml, list_projects
from infra.projects.located_yaml import parse_yaml, read_yaml
from infra.suggestion import _count_edits, suggest
from tasks.contracts.project import ProjectSpec
from tasks.project import load_project, parse_spec
from tasks.project.problems import narrow, resolve, write_path
from tasks.project.schema import build_schema
from tasks.project.sense import _explain_cron
from tests.tasks.named_networks import NETWORKS, PICTURED

ROOT = Path(__file__).parents[2]
SHIPPED = [read_yaml(folder.spec) for folder in list_projects(ROOT / "projects")]
VALIDATOR = Draft202012Validator(build_schema())
FREE = ("params", "arguments")
"""Keys below which any JSON may stand."""

FULL: dict[str, Any] = {
    "name": "full",
    "description": "Every section.",
    "source": {"sql": {"query": "SELECT 1", "url_env": "URL"}},
    "columns": {
        "id": {"type": "integer", "unique": True},
        "at": {"type": "datetime"},
        "shop": {"type": "category", "allowed": ["a", "b"], "feature": False, "known": "before"},
        "size": {"type": "number", "min": 0, "max": 9.5, "unit": "m", "null_share": 0.1, "meaning": "How long"},
        "words": {"type": "text", "max_length": 100},
        "photo": {"type": "image", "size": {"height": 32, "width": 24, "channels": 1}, "feature": False},
        "sold": {"type": "boolean"},
    },
    "target": "sold",
    "task": "classification",
    "labels": [],
    "row_id": "id",
    "time": "at",
    "validation": {
        "quarantine_share": 0.1,
        "min_rows": 5,
        "expectations": [{"expectation": "expect_column_to_exist", "arguments": {"column": "id"}}],
    },
    "split": {
        "method": "ordered", "column": "at", "test_share": 0.5, "test_days": 2, "seed": 1, "stratify": False,
        "gap": "1d",
    },
    "training_rows": {"keep": "last", "days": 90, "half_life_days": None},
    "prepare": {
        "steps": [{"function": "features:ratios", "params": {"floor": 1}, "adds": {"ratio": "number", "band": "category"}}],
        "number": {
            "outliers": "clip", "fence": 1.5, "impute": "zero", "scale": "robust", "missing_indicator": True,
            "transform": "power",
        },
        "category": {"impute": "missing", "encode": "ordinal", "min_share": 0.01},
        "text": {"encode": "tokens", "vocabulary": 5, "length": 6, "ngrams": 1},
        "datetime": {"parts": ["hour", "year"], "cyclic": True},
        "select": {"method": "univariate", "keep": 7},
    },
    "candidates": {
        "dummy": {
            "estimator": "sklearn.dummy.DummyClassifier", "params": {"strategy": "prior"},
            "search": {
                "random_state": {"low": 1, "high": 9, "step": 2, "log": False},
                "prepare.number.scale": {"choices": ["none", "minmax"]},
            },
            "balance": {"weights": "none", "resample": "over", "ratio": 0.5, "neighbours": 5}, "calibrate": "sigmoid",
        },
        "net": {
            "network": {"build": "network:build", "epochs": 1, "batch_size": 2, "validation_share": 0.5, "refit": False},
            "prepare": {"text": {"ngrams": 2}},
        },
    },
    "decision": {"threshold": "tuned", "metric": None, "costs": {"false_positive": 1, "false_negative": 2.5}},
    "tuning": {
        "method": "random", "trials": 7, "pruning": "none", "batch": 2, "folds": None, "seed": 5, "workers": 2,
        "workers_on": "pool",
    },
    "selection": {
        "method": "holdout", "folds": 3, "repeats": 2, "holdout_share": 0.3, "rule": "best", "also_test": ["net"],
        "window": 500,
    },
    "evaluation": {
        "metric": "f1", "also": ["accuracy", "profit"], "positive": True,
        "metrics": [
            {"name": "profit", "function": "metrics:profit", "direction": "higher", "range": [None, 5], "uses": "labels"}
        ], "bootstrap_draws": 100, "group": "shop", "seed": 3,
    },
    "gate": {
        "policy": "non_inferiority", "margin": 0.1, "alpha": 0.05, "floors": {"f1": 0}, "guards": {"accuracy": 0.1},
        "slices": [{"column": "shop", "values": ["a"]}], "slice_margin": 0.2, "min_slice_rows": 3,
        "budgets": {"latency_ms": 5, "size_mb": 0.5}, "max_test_uses": 9,
    },
    "release": {"approval": "operator"},
    "monitoring": {
        "window": "week", "rows": "data:read_window",
        "labels": {"delay_days": 1, "function": "data:read_labels"},
        "drift": {
            "reference": "trailing", "trailing_windows": 4, "false_alarm_rate": 0.02, "min_rows": 50, "alarms": 2,
            "of_windows": 3, "min_importance": 0.05,
        },
        "performance": {"margin": 0.05, "min_rows": 60, "min_matured": 0.8},
    },
    "retraining": {
        "policies": {"schedule": None, "drift": "non_inferiority", "performance": "superiority", "operator": "superiority"},
        "cooldown_days": 7, "max_per_day": 2, "breaker_after": 4, "watch": {"windows": 2, "margin": 0.1},
    },
    "compute": {
        "device": "gpu", "threads": 1, "fallback": "cpu", "memory_mb": 500, "precision": "auto", "devices": "all",
    },
    "study": {
        "learning_curve": {"points": 4}, "folds": 4, "repeats": 3, "seeds": 2, "matters": 0.01, "nested": True,
        "validation_curve": {"candidate": "dummy", "parameter": "strategy", "values": ["prior", "uniform"]},
    },
    "export": {"onnx": True, "tolerance": 0.001, "int8": True, "int8_loss": 0.01},
    "schedule": {"cron": "0 6 * * 1", "timezone": "Europe/Berlin"},
    "seed": 4,
}  # fmt: skip
MINIMAL: dict[str, Any] = {
    "name": "small",
    "source": {"csv": "rows.csv"},
    "columns": {"size": {"type": "number"}, "kind": {"type": "category", "allowed": ["a", "b"]}},
    "target": "kind",
    "candidates": {"dummy": {"estimator": "sklearn.dummy.DummyClassifier"}},
}

Where = tuple[str | int, ...]
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def write(data: dict[str, Any]) -> LocatedYaml:
    return parse_yaml(yaml.dump(data, Dumper=DUMPER, sort_keys=False, allow_unicode=True), Path("project.yaml"))


def problems_of(data: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """Return path: (line, what is said) of each problem."""
    try:
        parse_spec(write(data), data.get("name", "small"))
    except SpecError as error:
        found = re.findall(r"^  line (\d+), (.+?): (.*)$", error.message, flags=re.MULTILINE)
        assert len(found) == len(error.message.splitlines()) - 1, "one line a problem"  # noqa: PT017
        return {path: (int(line), said) for line, path, said in found}
    return {}


def change(data: dict[str, Any], where: Where, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(data)
    part: Any = changed
    for step in where[:-1]:
        part = part.setdefault(step, {}) if isinstance(part, dict) else part[step]
    part[where[-1]] = value
    return changed


def rename(data: dict[str, Any], where: Where, key: str) -> dict[str, Any]:
    changed = copy.deepcopy(data)
    part: Any = changed
    for step in where[:-1]:
        part = part[step]
    items = [(key if name == where[-1] else name, value) for name, value in part.items()]
    part.clear()
    part.update(items)
    return changed


def walk(part: Any, node: dict[str, Any], where: Where = ()) -> Iterator[tuple[Where, dict[str, Any], bool]]:
    """Yield each path, its schema, and whether its last step is a key of the schema and not a name of somebody's."""
    definitions = build_schema()["$defs"]
    node = resolve(narrow(node, part, definitions), definitions)
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for step, inner in items:
        own = step in node.get("properties", {})
        schema = node["properties"][step] if own else node.get("items") or node.get("additionalProperties")
        schema = narrow(schema, inner, definitions)
        yield (*where, step), schema, own
        if step not in FREE:
            yield from walk(inner, schema, (*where, step))


def walk_once(data: dict[str, Any]) -> list[tuple[Where, dict[str, Any], bool]]:
    """Return what `walk` yields, each key of a section once, however many columns or candidates say it."""
    return [*{id(schema): (where, schema, own) for where, schema, own in walk(data, build_schema())}.values()]


def keys_of(data: dict[str, Any]) -> list[Where]:
    return [where for where, _, own in walk_once(data) if own]


def misspell(key: str, position: int) -> set[str]:
    """One edit of each kind at this position."""
    at = position % len(key)
    swapped = key[:at] + key[at + 1 : at + 2] + key[at] + key[at + 2 :]
    return {key[:at] + key[at + 1 :], key[:at] + "q" + key[at:], key[:at] + "q" + key[at + 1 :], swapped} - {key}


EVERY_KEY = [FULL, NETWORKS, PICTURED]
ALL = [*(located.data for located in SHIPPED), *EVERY_KEY]
IDS = [data["name"] for data in ALL]
SPELLINGS = [(data, where) for data in ALL for where in keys_of(data)]


def test_every_key_there_is_stands_in_the_full_example() -> None:
    definitions = build_schema()["$defs"]
    known = {(name, key) for name, part in definitions.items() for key in part.get("properties", {})}
    names = {id(part): name for name, part in definitions.items()}
    seen = set()
    for data in EVERY_KEY:
        holders = {where: names.get(id(resolve(node, definitions))) for where, node, _ in walk(data, build_schema())}
        seen |= {(holders[where[:-1]], where[-1]) for where in keys_of(data) if len(where) > 1}
    elsewhere = {("Source", key) for key in ("function", "csv", "parquet")}  # one of four
    assert known - seen == elsewhere


@pytest.mark.parametrize("data", [*EVERY_KEY, MINIMAL], ids=lambda data: data["name"])
def test_a_right_spec_is_read_as_written(data: dict[str, Any]) -> None:
    assert problems_of(data) == {}
    spec = parse_spec(write(data), data["name"])
    assert spec == ProjectSpec.model_validate(data)
    assert ProjectSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize("located", SHIPPED, ids=lambda located: located.path.parent.name)
def test_every_shipped_project_is_sound(located: LocatedYaml) -> None:
    assert parse_spec(located, located.path.parent.name).name == located.path.parent.name


@pytest.mark.slow
@pytest.mark.parametrize("data", ALL, ids=IDS)
def test_a_misspelt_key_is_refused_with_its_line_the_allowed_keys_and_the_nearest(data: dict[str, Any]) -> None:
    for where in keys_of(data):
        key = str(where[-1])
        for typo in misspell(key, len(where) * 7 + len(key)):
            wrong = rename(data, where, typo)
            line, said = problems_of(wrong)[write_path((*where[:-1], typo))]
            assert line == write(wrong).line_of((*where[:-1], typo))
            offered = re.search(r"Did you mean '(\w+)'\?", said)
            assert offered is not None, (where, typo)
            assert _count_edits(typo, offered[1]) == 1, (where, typo)
            assert re.search(rf"Allowed: .*\b{key}\b", said), (where, typo)


@pytest.mark.slow
def test_each_single_edit_of_each_key_is_answered_with_a_key_one_edit_away() -> None:
    sections = [build_schema(), *build_schema()["$defs"].values()]
    letters = "ex"
    for allowed in (list(section["properties"]) for section in sections if "properties" in section):
        for key in allowed:
            typos = {
                key[:i] + c + key[i + cut :] for i in range(len(key) + 1) for c in ["", *letters] for cut in (0, 1)
            }
            for typo in typos - set(allowed):
                offered = re.fullmatch(r" Did you mean '(\w+)'\?", suggest(typo, allowed))
                assert offered is not None, (typo, key)
                assert _count_edits(typo, offered[1]) == 1, (typo, key, offered[1])


WRONG: dict[str, Any] = {"object": 5, "array": 5, "string": {"wrong": []}}


@pytest.mark.slow
@pytest.mark.parametrize("data", ALL, ids=IDS)
def test_a_wrong_type_anywhere_is_refused_at_its_place_by_us_and_by_the_schema(data: dict[str, Any]) -> None:
    for where, schema, _ in walk_once(data):
        if where[-2:-1] and where[-2] in FREE:
            continue
        kind = resolve(schema, build_schema()["$defs"]).get("type", "string")
        wrong = change(data, where, WRONG.get(kind, ["wrong"]))
        found = {place: said for place, said in problems_of(wrong).items() if write_path(where).startswith(place)}
        assert found, (where, problems_of(wrong))
        line, said = found[max(found, key=len)]
        assert line <= write(wrong).line_of(where)
        assert re.search(r"expected .*; received ", said), (where, said)
        assert not VALIDATOR.is_valid(wrong), where


BOUNDED = [
    (data, where, value)
    for data in EVERY_KEY
    for where, schema, _ in walk_once(data)
    for node in [resolve(schema, build_schema()["$defs"])]
    for bound, step in {"minimum": -1, "exclusiveMinimum": 0, "maximum": 1, "exclusiveMaximum": 0}.items()
    for value in [node.get(bound, None)]
    if value is not None
    for value in [value + step]
]


@pytest.mark.parametrize(("data", "where", "value"), BOUNDED, ids=[f"{write_path(w)}={v}" for _, w, v in BOUNDED])
def test_a_number_out_of_its_range_is_refused_with_the_range(data: dict[str, Any], where: Where, value: float) -> None:
    wrong = change(data, where, value)
    _, said = problems_of(wrong)[write_path(where)]
    assert re.search(r"expected a (whole )?number (from|at least|above|at most|below) .*; received -?[\d.]+\.$", said)
    assert not VALIDATOR.is_valid(wrong)


def test_a_share_of_one_and_a_half_is_refused() -> None:
    wrong = change(FULL, ("split", "test_share"), 1.5)
    written = yaml.dump(wrong, Dumper=DUMPER, sort_keys=False, allow_unicode=True)
    line = written.splitlines().index("  test_share: 1.5") + 1
    assert problems_of(wrong) == {"split.test_share": (line, "expected a number above 0 and below 1; received 1.5.")}


SENSE = [
    (("name",), "fuller", "name", "the folder's name, full; received the text 'fuller'"),
    (("target",), "sould", "target", r"one of the columns: id, .*Did you mean 'sold'\?"),
    (("row_id",), "ids", "row_id", r"one of the columns"),
    (("row_id",), "sold", "row_id", "is the target"),
    (("time",), "att", "time", r"Did you mean 'at'\?"),
    (("split", "column"), "shopp", "split.column", r"Did you mean 'shop'\?"),
    (("split",), {"method": "grouped", "column": "sold"}, "split.column", "must not be split by what is predicted"),
    (("split", "column"), "shop", "split.column", "to order by; 'shop' is of type category"),
    (("split", "method"), "random", "split.column", "stands only with method ordered or grouped"),
    (("split",), {"method": "ordered"}, "split", "needs `column`"),
    (("split", "method"), "grouped", "split", "test_days needs split method 'ordered'"),
    (("split",), {"gap": 3}, "split", "gap needs split method 'ordered'"),
    (("split", "gap"), 0, "split.gap", "a whole number at least 1 or a length of time, such as .*; received 0"),
    (("split", "gap"), "1 day", "split.gap", "a length of time, such as 30min, 12h, 1d or 2w; received the text '1 day'"),
    (("split", "column"), "id", "split.gap", "needs a column of type datetime; 'id' is of type integer"),
    (("selection", "window"), "0d", "selection.window", "a length of time, such as .*; received the text '0d'"),
    (("split",), {"method": "random"}, "selection.window", "stands only with split.method ordered"),
    (("row_id",), None, "the file", "monitoring: needs `row_id` and `time`"),
    (("training_rows", "days"), None, "training_rows", "keep 'last' needs `days` and nothing else"),
    (("monitoring", "drift", "alarms"), 4, "monitoring.drift", "alarms of at most of_windows = 3, received 4"),
    (("evaluation", "group"), "shp", "evaluation.group", "one of the columns"),
    (("evaluation", "positive"), 1, "evaluation.positive", "one of the values of sold: true, false; received 1"),
    (("gate", "slices", 0, "column"), "shoop", "gate.slices[0].column", r"Did you mean 'shop'\?"),
    (("gate", "slices", 0, "values"), ["a", "c"], "gate.slices[0].values[1]", "allowed values: a, b; .* 'c'"),
    (("selection", "also_test"), ["nett"], "selection.also_test[0]", r"one of the candidates: .*Did you mean 'net'\?"),
    (
        ("study", "validation_curve", "candidate"),
        "dumy",
        "study.validation_curve.candidate",
        r"one of the candidates: .*Did you mean 'dummy'\?",
    ),
    (("columns", "size", "allowed"), [1], "columns.size.allowed", "this column's type is number"),
    (("columns", "words", "min"), 1, "columns.words.min", "stands only with type number or integer"),
    (("columns", "shop", "max_length"), 1, "columns.shop.max_length", "only with type text"),
    (("columns", "size", "min"), 10, "columns.size.min", "at most max, which is 9.5; received 10"),
    (("columns", "shop", "allowed"), [], "columns.shop.allowed", "at least one value"),
    (("columns", "shop", "allowed"), ["a", "a"], "columns.shop.allowed[1]", "a second time"),
    (("columns", "shop", "allowed"), ["a", True], "columns.shop.allowed[1]", "written in quotes"),
    (("columns", "id", "allowed"), ["a"], "columns.id.allowed[0]", "a value of type integer; received the text 'a'"),
    (("columns", "sold", "null_share"), 0.1, "columns.sold.null_share", "can neither train nor test"),
    (("columns", "sold", "type"), "text", "columns.sold.type", "the target's type is one of"),
    (("columns", "shop", "type"), "datetime", "columns.shop.allowed", "stands only with"),
    (("candidates", "dummy", "balance", "weights"), "balanced", "candidates.dummy.balance", "do the same: choose one"),
    (("candidates", "net", "calibrate"), "sigmoid", "candidates.net", "calibrate stands with `estimator`"),
    (("decision", "metric"), "f1", "decision", "tuned for `metric` or for `costs`: choose one"),
    (("decision", "threshold"), "even", "decision", "metric and costs stand with threshold tuned"),
    (("candidates", "dummy", "balance", "resample"), "tomek", "candidates.dummy.balance", "tomek does not even them out"),
    (("candidates", "dummy", "balance", "resample"), "smot", "candidates.dummy.balance.resample", r"Did you mean 'smote'\?"),
    (("prepare", "steps", 0, "adds"), {"id": "number"}, "the file", r"prepare\.steps\[0\]\.adds: there is a column 'id'"),
    (("prepare", "steps", 0, "adds"), {"ratio": "numbr"}, "prepare.steps[0].adds.ratio", r"Did you mean 'number'\?"),
    (("prepare", "category", "encode"), "target", "prepare.category", "min_share stands with encode one_hot or ordinal"),
    (("candidates", "dummy", "search", "strategy"), {"choices": [1]}, "candidates.dummy", "stands in params too"),
    (("candidates", "dummy", "search", "prepare.number.scal"), {"choices": [1]}, "candidates.dummy", r"Did you mean 'prepare.number.scale'"),
    (("candidates", "net", "search"), {"network.epochs": {"low": 0, "high": 5}}, "candidates.net", "network.epochs cannot be 0: .*greater than or equal to 1"),
    (("candidates", "dummy", "search", "a b"), {"choices": [1]}, "candidates.dummy.search.a b", "the name of an argument, or the path"),
    (("candidates", "net", "search"), {"rate": {"low": 0.1}}, "candidates.net.search.rate", "expected `choices`, or `low` and `high`"),
    (("candidates", "net", "search"), {"rate": {"low": 1, "high": 1}}, "candidates.net.search.rate", "a low below high"),
    (("candidates", "net", "search"), {"rate": {"low": 0, "high": 1, "log": True}}, "candidates.net.search.rate", "a low above 0"),
    (("candidates", "net", "search"), {"rate": {"choices": [1, 1]}}, "candidates.net.search.rate", "1 stands there twice"),
    (("candidates", "net", "search"), {"rate": {"choices": [1], "low": 1}}, "candidates.net.search.rate", "do not stand with `choices`"),
    (("tuning", "method"), "tpee", "tuning.method", r"one of grid, random, tpe; .* Did you mean 'tpe'"),
    (("tuning", "pruning"), "median", "the file", "candidates.dummy has neither folds .* nor epochs to be ended at"),
    (("tuning", "folds"), 3, "the file", "there are none, selection.method is holdout"),
    (("evaluation", "metrics", 0, "range"), [5, 1], "evaluation.metrics[0]", r"from the least value to the greatest, .* \[5, 1\]"),
    (("evaluation", "metrics", 0, "name"), "f1", "evaluation.metrics[0].name", "of a metric that there is already"),
    (("evaluation", "metrics", 0, "uses"), "values", "evaluation.also[1]", "a metric of a classification: .*; received profit"),
    (("evaluation", "metrics", 0, "direction"), "up", "evaluation.metrics[0].direction", "one of higher, lower"),
    (("candidates", "net", "estimator"), "sklearn.x.Y", "candidates.net", "exactly one of estimator, network"),
    (("candidates", "dummy", "estimator"), "os.system", "candidates.dummy.estimator", "of a scikit-learn class"),
    (("candidates", "Bad Name"), {}, "candidates.Bad Name", "expected a name: a lower-case letter"),
    (("source", "csv"), "a.csv", "source", "exactly one of function, csv, parquet, sql"),
    (("compute", "device"), "gpuu", "compute.device", r"one of cpu, gpu; .* Did you mean 'gpu'\?"),
    (("schedule", "cron"), "61 * * * *", "schedule.cron", "minute 0-59, .*; bad minute in"),
    (("schedule", "cron"), "0 0 0 * * *", "schedule.cron", "received 6 in"),
    (("schedule", "cron"), "0 0 30 2 *", "schedule.cron", "bad day-of-month"),
    (("schedule", "timezone"), "Europe/Berln", "schedule.timezone", "name of a time zone"),
    (("schedule", "timezone"), "../../etc/passwd", "schedule.timezone", "name of a time zone"),
    (("schedule", "timezone"), "Europe", "schedule.timezone", "name of a time zone"),
    (("schedule", "timezone"), "", "schedule.timezone", "name of a time zone"),
    (("margin",), 0.1, "margin", "It is a key of gate: mind the indentation"),
    (("columns", "sold", "of a house"), None, "columns.sold.of a house", "a comma inside braces is written in quotes"),
    (("validation",), None, "validation", "expected the keys quarantine_share, .*; received nothing"),
    (("gate", "alpha"), "0.05", "gate.alpha", "a number above 0 and at most 0.5; received the text '0.05'"),
    (("columns", "id", "unique"), "yes", "columns.id.unique", "expected true or false; received the text 'yes'"),
    (("seed",), True, "seed", "expected a whole number; received true"),
    (("seed",), 4.0, "seed", "expected a whole number; received 4.0"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "value", "path", "said"), SENSE, ids=[f"{s[2]}={s[1]}"[:50] for s in SENSE])
def test_what_cannot_be_meant_is_refused_at_its_place(where: Where, value: object, path: str, said: str) -> None:
    text = write(change(FULL, where, value))
    with pytest.raises(SpecError, match=rf"line \d+, {re.escape(path)}: .*{said}"):
        parse_spec(text, "full")


@pytest.mark.parametrize(
    "cut", [("name",), ("source",), ("target",), ("columns", "size", "type"), ("source", "sql", "query")]
)
def test_a_missing_key_is_named(cut: Where) -> None:
    wrong = copy.deepcopy(FULL)
    part: Any = wrong
    for step in cut[:-1]:
        part = part[step]
    del part[cut[-1]]
    with pytest.raises(SpecError, match=rf"{re.escape(write_path(cut))}: expected .*; the key is missing"):
        parse_spec(write(wrong), "full")


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    wrong = FULL
    for where, value, _, _ in SENSE[1:2] + [
        row for row in SENSE if row[2] in {"compute.device", "seed", "schedule.cron"}
    ]:
        wrong = change(wrong, where, value)
    wrong = change(wrong, ("split", "test_shar"), 0.5)
    found = problems_of(wrong)
    assert {"target", "split.test_shar", "compute.device", "schedule.cron", "seed"} <= set(found)
    lines = [line for line, _ in found.values()]
    assert lines == sorted(lines)


def test_no_feature_left_is_refused() -> None:
    wrong = change(MINIMAL, ("columns", "size", "feature"), False)
    assert "no feature is left" in problems_of(wrong)["columns"][1]


@pytest.mark.parametrize(("positive", "received"), [(True, "true"), ("1", "the text '1'")], ids=["truth value", "text"])
def test_a_positive_class_of_another_type_than_the_targets_whole_numbers_is_refused(
    positive: Any, received: str
) -> None:
    counted = change(MINIMAL, ("columns", "kind"), {"type": "integer"})
    assert problems_of(change(counted, ("evaluation",), {"positive": 1})) == {}
    found = problems_of(change(counted, ("evaluation",), {"positive": positive}))
    assert (
        f"expected a whole number, as the values of kind are; received {received}." in found["evaluation.positive"][1]
    )


def test_a_slice_value_of_another_type_is_not_taken_for_its_equal() -> None:
    wrong = change(MINIMAL, ("columns", "size"), {"type": "integer", "allowed": [0, 1]})
    wrong = change(wrong, ("gate",), {"slices": [{"column": "size", "values": [True]}]})
    assert "received true" in problems_of(wrong)["gate.slices[0].values[0]"][1]


def test_a_password_that_was_put_where_a_name_belongs_is_not_repeated() -> None:
    wrong = change(FULL, ("source", "sql", "url_env"), "postgresql://me:CANARY@host/db")
    with pytest.raises(SpecError, match=r"url_env: expected the name of an environment variable") as caught:
        parse_spec(write(wrong), "full")
    assert "CANARY" not in str(caught.value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False, allow_infinity=False),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5),
       st.sampled_from([where for where, _, _ in walk(FULL, build_schema())]))  # fmt: skip
def test_any_value_anywhere_is_a_spec_or_a_clear_refusal(value: Any, where: Where) -> None:
    located = LocatedYaml(Path("project.yaml"), change(FULL, where, value), {(): 1})
    try:
        assert isinstance(parse_spec(located, "full"), ProjectSpec)
    except SpecError as error:
        assert "problem" in error.message  # noqa: PT017


@given(
    st.text("0123456789*/,-LW#MON JAN", max_size=24)
    | st.from_regex(r"([*0-9]{1,2}([/,-][0-9]{1,2})? ){4}[*0-7]", fullmatch=True)
)
def test_a_schedule_that_is_accepted_is_one_that_prefect_accepts(cron: str) -> None:
    from prefect._vendor.croniter import croniter

    if _explain_cron(cron) == "":
        assert croniter(cron, datetime(2024, 1, 1, tzinfo=UTC)).get_next(datetime).year < 2060


def make_project(root: Path, spec: dict[str, Any], data: str = "def read():\n    return 5\n") -> None:
    (root / spec["name"]).mkdir(parents=True)
    (root / spec["name"] / "project.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    (root / spec["name"] / "data.py").write_text(data)


def test_a_loaded_project_has_its_spec_its_functions_and_the_digest_of_its_code(tmp_path: Path) -> None:
    make_project(tmp_path, change(MINIMAL, ("source",), {"function": "data:read"}))
    project = load_project(tmp_path, "small")
    assert (project.spec.name, project.folder.name, len(project.code)) == ("small", "small", 64)
    assert project.load("data:read")() == 5


def test_a_function_that_is_not_there_is_told_at_load_with_the_other_problems(tmp_path: Path) -> None:
    wrong = change(change(MINIMAL, ("source",), {"function": "data:raed"}), ("target",), "kinds")
    make_project(tmp_path, change(wrong, ("candidates", "net"), {"network": {"build": "nets:build"}}))
    with pytest.raises(SpecError, match=r"(?s)3 problems.*Did you mean 'read'.*Did you mean 'kind'.*no nets\.py"):
        load_project(tmp_path, "small")


@pytest.mark.parametrize("where", [("prepare",), ("candidates", "dummy", "prepare")], ids=["project", "candidate"])
def test_a_step_that_is_not_there_is_told_at_load(tmp_path: Path, where: Where) -> None:
    steps = [{"function": "data:reed", "adds": {"ratio": "number"}}]
    make_project(tmp_path, change(MINIMAL, (*where, "steps"), steps))
    path = re.escape(".".join(where))
    with pytest.raises(SpecError, match=rf"{path}\.steps\[0\]\.function: .*no function 'reed'.*Did you mean 'read'"):
        load_project(tmp_path, "small")


def test_loading_runs_none_of_the_projects_code(tmp_path: Path) -> None:
    make_project(
        tmp_path, change(MINIMAL, ("source",), {"function": "data:read"}), "def read(): ...\nraise SystemExit\n"
    )
    assert load_project(tmp_path, "small").spec.name == "small"


def test_a_project_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    make_project(tmp_path, MINIMAL)
    with pytest.raises(UsageError, match=r"Did you mean 'small'\?"):
        load_project(tmp_path, "smal")


def test_loading_imports_nothing_heavy() -> None:
    code = """
import sys
from pathlib import Path
from infra.projects import list_projects
from tasks.project import load_project
assert [load_project(Path("projects"), folder.name) for folder in list_projects(Path("projects"))]
assert not {"pandas", "numpy", "sklearn", "prefect", "tensorflow", "great_expectations"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
