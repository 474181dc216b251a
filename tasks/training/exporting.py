"""The chosen model as ONNX, in a process of its own: converted, held against the model on test rows, measured, quantised.

`python -m tasks.training.exporting FOLDER`: the request lies in the folder, and so do the files and the reply afterwards. In a
process of its own because converters load a model's whole library anew, may hang, and end the process that they crash in:
none of it may cost a training that is done.
"""

import logging
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from infra.artifacts.reference import ArtifactRef, Digest
from infra.artifacts.store import BlobStore
from infra.frames import read_parquet
from infra.settings import load_settings
from tasks.contracts.export import OnnxExport, Quantised
from tasks.contracts.frozen import Contract
from tasks.contracts.models import ModelRef
from tasks.contracts.project import ProjectSpec
from tasks.metrics.answers import Answers
from tasks.metrics.registry import find_metric, find_positive
from tasks.models.inputs import InputColumns, Inputs, read_target
from tasks.models.model import Array, Floats
from tasks.models.onnx_conversion import OnnxForm, Way, list_ways
from tasks.project import functions_of

logger = logging.getLogger(__name__)

ROWS = 1_000
"""Test rows that are asked at most."""
VALUES = 20_000_000
"""Rows times inputs of a prepared matrix at most: fewer rows of wide texts."""
LATENCY_DRAWS = 50
TIMEOUT_S = 900.0
REQUEST, REPLY, MODEL, TEST_ROWS = "request.json", "reply.json", "model", "rows.parquet"
ONNX, INT8 = "model.onnx", "model.int8.onnx"

MATRIX_PRODUCTS = frozenset({"MatMul", "Gemm", "Conv", "LSTM"})
"""Nodes that dynamic quantisation makes smaller."""
UNSEEN = "(never seen)"
MAY_MISS = ("number", "integer", "boolean", "category")
"""Types of columns of which an odd row without a value is made."""
SAID = 200
"""Characters of a converter's message that are kept."""


class ExportRequest(Contract):
    """What is asked of the process; model and test rows lie beside it."""

    spec: ProjectSpec
    content: Digest
    model_size_bytes: int


def export_stored(store: BlobStore, model: ModelRef, test: ArtifactRef, spec: ProjectSpec, folder: Path) -> OnnxExport:
    """Return what came of exporting a stored model; the ONNX files lie in the folder. Raises only what the store raises."""
    store.fetch(model.artifact, folder / MODEL)
    store.fetch(test, folder / TEST_ROWS)
    request = ExportRequest(spec=spec, content=model.content, model_size_bytes=model.artifact.size_bytes)
    return export_apart(request, folder)


def export_apart(request: ExportRequest, folder: Path, timeout_s: float = TIMEOUT_S) -> OnnxExport:
    """Return what came of the export, made in a process of its own; whatever fails there, this does not raise.

    Parameters
    ----------
    folder
        Holds the model's file and the test rows; the ONNX files come to lie there.
    """
    (folder / REQUEST).write_text(request.model_dump_json(), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "tasks.training.exporting", str(folder)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}  # it measures CPUs, and the training may hold the GPU
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, env=environment)
    except subprocess.TimeoutExpired:
        return OnnxExport(status="not exported", reason=f"the converter took more than {timeout_s:.0f} s")
    if done.returncode != 0 or not (folder / REPLY).is_file():
        last = " ".join(done.stderr.strip().splitlines()[-1:])[:300]
        return OnnxExport(status="not exported", reason=f"the converter's process ended with {done.returncode}: {last}")
    return OnnxExport.model_validate_json((folder / REPLY).read_bytes())


def export_model(model: Any, spec: ProjectSpec, frame: pd.DataFrame, folder: Path) -> OnnxExport:
    """Return what came of exporting the model, and write the files that hold into the folder.

    Held against the model are its answers on up to ROWS test rows, and on odd ones made of the first: what may be missing is
    missing, a category is one that nobody saw.

    Parameters
    ----------
    frame
        The test rows, with their target.
    """
    rows = frame.iloc[: _row_limit(model)].reset_index(drop=True)
    columns: InputColumns = model.columns
    inputs = columns.read(pd.concat([rows, make_odd_rows(rows, spec)], ignore_index=True))
    refused: list[str] = []
    for name, convert in list_ways(model):
        form, session, difference = _try_way((name, convert), inputs, spec.export.tolerance, refused)
        if form is not None:
            break
    else:
        return OnnxExport(status="not exported", reason="; ".join(refused), tolerance=spec.export.tolerance)
    (folder / ONNX).write_bytes(form.content)
    one = columns.read(rows.iloc[:1])
    asked = read_inputs(inputs, len(rows))
    truth = read_target(rows, spec) if spec.target in rows else None
    return OnnxExport(
        status="exported",
        reason="; ".join(refused),
        covers=form.covers,
        outside=form.outside,
        inputs=form.takes,
        rows=len(inputs),
        tolerance=spec.export.tolerance,
        largest_difference=difference,
        size_bytes=len(form.content),
        latency_ms=measure_latency(lambda: answer_onnx(session, form.feed(one))),
        model_latency_ms=measure_latency(
            lambda: model.proba_inputs(one) if model.classes else model.predict_inputs(one)
        ),
        int8=quantise(form, model, spec, (asked, truth), folder) if spec.export.int8 and truth is not None else None,
    )


def _try_way(way: Way, inputs: Inputs, tolerance: float, refused: list[str]) -> tuple[OnnxForm | None, Any, float]:
    """Return the form, its session and its largest difference where it holds; else None, with the reason among `refused`."""
    name, convert = way
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what scikit-learn and numpy will drop: the converters' own matter
            form = convert()
        session = open_session(form.content)
        ours, theirs = form.answer(inputs), answer_onnx(session, form.feed(inputs))
        theirs = _as_shares(theirs) if ours.shape[1] > 1 else theirs
    except Exception as error:  # noqa: BLE001 - converter and runtime raise what they like, and the next way is tried
        refused.append(f"{name}: {_say(error)}")
        return None, None, 0.0
    compare = compare_answers if ours.shape[1] > 1 else compare_values
    problem, difference = compare(ours, theirs, tolerance)
    if problem:
        refused.append(f"{name}: {problem}")
        return None, None, difference
    return form, session, difference


def compare_answers(ours: Floats, theirs: Floats, tolerance: float) -> tuple[str, float]:
    """Return why two models' answers are not equal, empty where they are, and the largest difference of a probability.

    Equal: no probability differs by more than the tolerance, and so do the classes, but where the two most probable ones are
    within twice the tolerance of each other.
    """
    if ours.shape != theirs.shape:
        return f"expected answers of shape {ours.shape}, received {theirs.shape}", float("inf")
    apart = np.abs(ours - theirs)
    if not np.isfinite(apart).all():
        return "an answer is not a number", float("inf")
    largest = float(apart.max(initial=0.0))
    if largest > tolerance:
        rows = int((apart.max(axis=1) > tolerance).sum())
        return (
            f"{rows} of {len(ours)} rows are answered otherwise, by up to {largest:.2g} (tolerance {tolerance:g})",
            largest,
        )
    ordered = np.sort(ours, axis=1)
    tied = ordered[:, -1] - ordered[:, -2] <= 2 * tolerance
    other = (ours.argmax(axis=1) != theirs.argmax(axis=1)) & ~tied
    return (f"{int(other.sum())} of {len(ours)} rows get another class" if other.any() else ""), largest


def compare_values(ours: Floats, theirs: Floats, tolerance: float) -> tuple[str, float]:
    """Return the same for the values of a regression, shape (n, 1), in standard deviations of the model's own answers."""
    if ours.shape != theirs.shape:
        return f"expected answers of shape {ours.shape}, received {theirs.shape}", float("inf")
    apart = np.abs(ours - theirs) / (float(ours.std()) or 1.0)
    if not np.isfinite(apart).all():
        return "an answer is not a number", float("inf")
    largest, rows = float(apart.max(initial=0.0)), int((apart > tolerance).sum())
    said = f"{rows} of {len(ours)} rows are answered otherwise, by up to {largest:.2g} sd (tolerance {tolerance:g})"
    return said if rows else "", largest


def make_odd_rows(rows: pd.DataFrame, spec: ProjectSpec) -> pd.DataFrame:
    """Return rows like the first, each with one column that is missing where that may be, or a category nobody saw."""
    odd = []
    for name, column in spec.features.items():
        cells: list[Any] = [None] if column.null_share > 0 and column.type in MAY_MISS else []
        cells += [UNSEEN] if column.type == "category" else []
        for cell in cells:
            row = rows.iloc[:1].astype(object)
            row[name] = cell
            odd.append(row)
    return pd.concat(odd, ignore_index=True) if odd else rows.iloc[:0]


def read_inputs(inputs: Inputs, rows: int) -> Inputs:
    """Return the first so many rows."""
    return inputs.iloc[:rows] if isinstance(inputs, pd.DataFrame) else inputs[:rows]


def open_session(content: bytes) -> Any:
    """Return an ONNX runtime on the CPU with one thread: what a server would give one request."""
    import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def answer_onnx(session: Any, feed: dict[str, Array]) -> Floats:
    """Return the last output, shape (n, k): probabilities, or values."""
    return np.asarray(session.run(None, feed)[-1], dtype=np.float64)


def _as_shares(answers: Floats) -> Floats:
    """Return probabilities of both classes where a network gives that of the second alone."""
    return np.hstack([1 - answers, answers]) if answers.ndim == 2 and answers.shape[1] == 1 else answers


def measure_latency(answer: Callable[[], object]) -> float:
    """Return the median time of an answer, in milliseconds, after one to warm up."""
    times = []
    for _ in range(LATENCY_DRAWS + 1):
        started = time.perf_counter()
        answer()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:]) * 1000


def quantise(form: OnnxForm, model: Any, spec: ProjectSpec, asked: tuple[Inputs, Array], folder: Path) -> Quantised:
    """Return what came of quantising weights to 8 bits, activations as they come (dynamic; Jacob et al. 2018, CVPR).

    Kept where `evaluation.metric` on the test rows is worse by at most `export.int8_loss`.
    """
    inputs, truth = asked
    name, path = spec.evaluation.metric, folder / INT8
    if not _node_kinds(form.content) & MATRIX_PRODUCTS:
        reason = "the file holds no matrix product, and nothing else gains from 8 bits"
        return Quantised(status="not kept", reason=reason, metric=name)
    try:
        sign = find_metric(name, len(model.classes)).sign
        _quantise_file(form.content, path)
        session, feed = open_session(path.read_bytes()), form.feed(inputs)
        before = _measure(spec, model, truth, answer_onnx(open_session(form.content), feed))
        after = _measure(spec, model, truth, answer_onnx(session, feed))
    except Exception as error:  # noqa: BLE001 - as above: the ONNX file itself is good, and stays
        path.unlink(missing_ok=True)
        return Quantised(status="not kept", reason=_say(error), metric=name)
    one = read_inputs(inputs, 1)
    size, latency = path.stat().st_size, measure_latency(lambda: answer_onnx(session, form.feed(one)))
    problem = _say_loss(name, sign * (before - after), spec.export.int8_loss)
    if not problem and size >= len(form.content):
        problem = f"it is no smaller: {size:,} bytes for {len(form.content):,}"
    if problem:
        path.unlink()
    return Quantised(
        status="not kept" if problem else "kept",
        reason=problem,
        size_bytes=size,
        latency_ms=latency,
        metric=name,
        before=before,
        after=after,
    )


def _say_loss(metric: str, loss: float, tolerated: float) -> str:
    """Return why a loss is too much; empty where it is not. A loss that is not a number is."""
    return "" if loss <= tolerated else f"{metric} is worse by {loss:.4g}, more than {tolerated:g}"


def _quantise_file(content: bytes, path: Path) -> None:
    import onnx  # noqa: PLC0415
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]  # noqa: PLC0415

    logging.getLogger().setLevel(logging.ERROR)  # it advises to prepare the graph, on the root logger
    quantize_dynamic(onnx.load_from_string(content), path, weight_type=QuantType.QInt8)


def _node_kinds(content: bytes) -> set[str]:
    import onnx  # noqa: PLC0415

    return {node.op_type for node in onnx.load_from_string(content).graph.node}


def _say(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed here: it comes with keepfit's extra `onnx`"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:SAID]}"


def _measure(spec: ProjectSpec, model: Any, truth: Array, answers: Floats) -> float:
    metric = find_metric(spec.evaluation.metric, len(model.classes))
    if not model.classes:
        return metric.value(truth.astype(np.float64), Answers("candidate", "onnx", answers[:, 0]), 0, -1)
    shares = _as_shares(answers)
    codes = np.array([model.classes.index(each) for each in truth.tolist()])
    positive = find_positive(spec.evaluation.positive, model.classes)
    return metric.value(
        codes, Answers("candidate", "onnx", shares.argmax(axis=1), shares), len(model.classes), positive
    )


def _row_limit(model: Any) -> int:
    """Return how many rows are asked: fewer where texts become very wide."""
    step = getattr(model, "pipeline", None)
    width = getattr(getattr(step, "pipeline", step), "steps", [(None, None)])[-1][1]
    return max(1, min(ROWS, VALUES // max(1, int(getattr(width, "n_features_in_", 1)))))


def main() -> None:
    """Answer the request in the folder that the command names."""
    from tasks.models.loading import load_model  # noqa: PLC0415

    folder = Path(sys.argv[1])
    request = ExportRequest.model_validate_json((folder / REQUEST).read_bytes())
    functions = functions_of(load_settings().projects, request.spec.name)
    model = load_model(folder / MODEL, request.content, functions)
    made = export_model(model, request.spec, read_parquet(folder / TEST_ROWS), folder)
    sized = made.model_copy(update={"model_size_bytes": request.model_size_bytes})
    partial = folder / f"{REPLY}.partial"
    partial.write_text(sized.model_dump_json(), encoding="utf-8")
    os.replace(partial, folder / REPLY)


if __name__ == "__main__":
    main()
