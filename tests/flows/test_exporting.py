"""The ONNX file of a version: made after training, kept with its figures, written with its digest checked."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.training.exporting import answer_onnx, open_session
from tests.flows.conftest import Place

pytestmark = pytest.mark.engine


def test_a_version_keeps_its_onnx_file_with_what_it_is_worth_and_writes_it(
    place: Place, table: Path, tmp_path: Path
) -> None:
    spec = (table / "project.yaml").read_text()
    (table / "project.yaml").write_text(spec + "export: {onnx: true, int8: true}\n")
    outcome = place.answer("run", "table")
    assert isinstance(outcome, dict)
    made = outcome["fit"]["export"]
    assert (outcome["status"], made["status"], made["covers"]) == ("released", "exported", "whole model")
    assert made["largest_difference"] <= made["tolerance"] == 1e-4
    assert made["model_size_bytes"] == outcome["fit"]["chosen"]["artifact"]["size_bytes"]
    assert made["latency_ms"] > 0 < made["model_latency_ms"]
    assert made["int8"]["status"] == "not kept"

    told = place.answer("export", "table", "--output", str(tmp_path / "table.onnx"))
    assert isinstance(told, dict)
    content = (tmp_path / "table.onnx").read_bytes()
    assert told["recorded"] is True
    assert told["digest"] == made["file"]["digest"] == hashlib.sha256(content).hexdigest()
    rows = pd.DataFrame({"signal": [0.5, -2.0], "noise": [0.1, 0.2]})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    place.answer("predict", "table", str(tmp_path / "rows.csv"), "--output", str(tmp_path / "answers.csv"))
    ours = pd.read_csv(tmp_path / "answers.csv")[["p_left", "p_right"]]
    theirs = answer_onnx(open_session(content), {"inputs": rows.to_numpy(dtype=np.float32)})
    np.testing.assert_allclose(theirs, ours, atol=1e-4)

    _, shown = place.keepfit("show", "table@1", "--page", str(tmp_path / "page.html"))
    assert "onnx      whole model, equal on" in shown
    assert "<dt>ONNX</dt><dd>whole model, equal on" in (tmp_path / "page.html").read_text()
    assert place.keepfit("doctor")[0] == 0

    blob = place.home / "store" / "sha256" / told["digest"][:2] / told["digest"]
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    code, said = place.keepfit("export", "table@1", "--output", str(tmp_path / "other.onnx"))
    assert code == 1, said
    assert not (tmp_path / "other.onnx").exists(), "bytes that are not what was checked are never handed out"


def test_a_file_that_does_not_hold_is_no_reason_to_hold_the_model_back(place: Place, table: Path) -> None:
    spec = (table / "project.yaml").read_text()
    trees = spec.replace("linear_model.LogisticRegression", "ensemble.GradientBoostingClassifier")  # float32 in the end
    (table / "project.yaml").write_text(trees + "export: {onnx: true, tolerance: 1.0e-15}\n")
    outcome = place.answer("run", "table")
    assert isinstance(outcome, dict)
    made = outcome["fit"]["export"]
    assert (outcome["status"], made["status"], made["file"]) == ("released", "not exported", None)
    assert "rows are answered otherwise" in made["reason"]
    assert f"onnx      not exported: {made['reason'][:40]}" in place.keepfit("show", "table@1")[1]


def test_a_version_that_was_trained_without_it_is_exported_now_and_says_so(released: Place, tmp_path: Path) -> None:
    told = released.answer("export", "iris@1", "--output", str(tmp_path / "iris.onnx"))
    assert isinstance(told, dict)
    assert (told["recorded"], told["export"]["status"]) == (False, "exported")
    assert open_session((tmp_path / "iris.onnx").read_bytes()).get_inputs()[0].name == "inputs"
    code, said = released.keepfit("export", "iris", "--int8", "--output", str(tmp_path / "int8.onnx"))
    assert code == 2
    assert "no matrix product" in said
    assert not (tmp_path / "int8.onnx").exists()
