"""project.yaml of several labels a row: what is about one class is refused, and labels that cannot be with the reason."""

import re
from typing import Any

import pytest

from infra.errors import SpecError
from tasks.contracts.project import ProjectSpec
from tasks.project import parse_spec
from tests.tasks.models.label_rows import LABELS, raw_spec
from tests.tasks.test_project import Where, change, problems_of, write

RAW: dict[str, Any] = {
    **raw_spec(),
    "evaluation": {"also": ["hamming_loss"]},
    "gate": {"floors": {"label_f1_macro": 0.5}, "guards": {"ranking_loss": 0.1}},
}


def test_a_project_of_several_labels_is_read_with_what_it_leaves_out() -> None:
    assert problems_of(RAW) == {}
    spec = parse_spec(write(RAW), "digits")
    assert spec.evaluation.metric == "label_f1_micro"
    assert not spec.split.stratify
    assert spec.target_columns == tuple(LABELS)
    assert not set(spec.features) & {*LABELS, spec.target}
    assert spec.columns[spec.target].type == "category"
    assert ProjectSpec.model_validate_json(spec.model_dump_json()) == spec


WRONG = [
    (("evaluation", "positive"), True, "evaluation.positive", "needs one class a row"),
    (("split",), {"stratify": True}, "split.stratify", "needs one class a row"),
    (("decision",), {"threshold": "tuned"}, "decision.threshold", "needs one class a row"),
    (("candidates", "bayes", "calibrate"), "sigmoid", "candidates.bayes.calibrate", "needs one class a row"),
    (("candidates", "bayes", "balance"), {"weights": "balanced"}, "candidates.bayes.balance.weights", "needs one class"),
    (("candidates", "bayes", "balance"), {"resample": "smote"}, "candidates.bayes.balance.resample", "needs one class"),
    (
        ("candidates", "net"),
        {"network": {"architecture": {"name": "cnn2d", "height": 8, "width": 8, "augment": {"mixup": 0.2}}}},
        "candidates.net.network.architecture.augment.mixup", "needs one class a row",
    ),
    (("export",), {"onnx": True}, "export.onnx", "needs one class a row"),
    (("prepare",), {"category": {"encode": "target"}}, "prepare.category.encode", "one_hot or ordinal; received target"),
    (("prepare",), {"select": {"method": "model", "keep": 3}}, "prepare.select.method", "needs one class a row"),
    (
        ("candidates", "bayes", "prepare"), {"select": {"method": "model", "keep": 3}},
        "candidates.bayes.prepare.select.method", "needs one class a row",
    ),
    (
        ("evaluation", "metrics"),
        [{"name": "own", "function": "m:own", "direction": "higher", "range": [0, 1], "uses": "labels"}],
        "evaluation.metrics", "do not read sets of labels yet",
    ),
    (("evaluation", "metric"), "accuracy", "evaluation.metric", "a metric of a multilabel project: label_f1_micro, .*received accuracy"),
    (("gate", "floors"), {"f1_macro": 0.5}, "gate.floors.f1_macro", "a metric of a multilabel project"),
    (("columns", "properties"), {"type": "category"}, "columns.properties", "is the name of the set of `labels`"),
    (("labels",), ["even", "larg"], "labels[1]", r"expected one of the columns: .*Did you mean 'large'\?"),
    (("labels",), ["even"], "the file", "needs two `labels` at least"),
    (("labels",), [], "the file", "needs two `labels` at least"),
    (("labels",), ["even", "even"], "the file", "'even' stands here a second time"),
    (("task",), "classification", "the file", "task multilabel needs two `labels`"),
    (("columns", "even", "type"), "integer", "the file", "'even' is no column of type boolean"),
    (("columns", "even", "null_share"), 0.1, "the file", "'even' is no column of type boolean with null_share 0"),
    (("target",), "even", "columns.even", "is the name of the set"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "value", "path", "said"), WRONG, ids=[f"{s[2]}-{at}" for at, s in enumerate(WRONG)])
def test_what_does_not_go_with_several_labels_is_refused(where: Where, value: object, path: str, said: str) -> None:
    with pytest.raises(SpecError, match=rf": 1 problem\n  line \d+, {re.escape(path)}: .*{said}"):
        parse_spec(write(change(RAW, where, value)), "digits")


@pytest.mark.parametrize("name", ["rain+snow", "none", "prediction", "p_even"])
def test_a_label_that_reads_like_a_set_is_refused(name: str) -> None:
    raw = {**RAW, "labels": [*LABELS, name], "columns": {**RAW["columns"], name: {"type": "boolean"}}}
    with pytest.raises(SpecError, match="means something else beside the answers"):
        parse_spec(write(raw), "digits")


def test_a_metric_of_sets_is_refused_where_each_row_has_one_class() -> None:
    raw = {
        **RAW,
        "task": "classification",
        "labels": [],
        "target": "even",
        "evaluation": {"metric": "hamming_loss"},
        "gate": {},
    }
    with pytest.raises(SpecError, match=r"a metric of a classification: accuracy, .*received hamming_loss"):
        parse_spec(write(raw), "digits")
