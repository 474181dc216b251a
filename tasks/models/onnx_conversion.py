"""Fitted models as ONNX: what of a model can be converted, what the file takes, and what stays outside it.

Each way is tried in turn by `tasks.training.exporting`, which holds its answers against the model's own.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

from tasks.models.deciding import Decided
from tasks.models.inputs import InputColumns, Inputs
from tasks.models.model import Array, Floats
from tasks.models.onnx_boosting import register
from tasks.models.tensorflow_runtime import start_keras

MISSING = "(missing)"
"""What a program gives the file for a category that is missing: ONNX has no missing text. The word that imputing writes."""

Feed = dict[str, Array]
Covers = Literal["whole model", "part of the model"]


@dataclass(frozen=True)
class OnnxForm:
    """A model, or a part of one, as ONNX."""

    content: bytes
    covers: Covers
    outside: tuple[str, ...]
    """What a program must do itself, in words."""
    takes: str
    """What the file takes, in words."""
    feed: Callable[[Inputs], Feed]
    """From what `InputColumns.read` returns to what the file takes, by what stays outside."""
    answer: Callable[[Inputs], Floats]
    """What the file must give: the probabilities of the same part of the model, (n, k); a regression's values, (n, 1)."""


Way = tuple[str, Callable[[], OnnxForm]]
"""What is tried, in words, and how."""


def list_ways(model: Any) -> Iterator[Way]:
    """Yield the ways to convert a model, what covers the most first; each may fail.

    With float64 where float32 is too coarse: a number that lies on a tree's threshold falls on its other side.
    """
    if model.backend == "keras":
        yield "the network", lambda: _convert_network(model)
        return
    columns, steps = model.columns.widened, _name_reading(model.columns)
    pipeline, outside = _undecided(model.pipeline)
    for double in (False, True):
        whole = partial(_convert_pipeline, pipeline, columns, (*steps, *outside), double=double)
        yield f"the pipeline in {_bits(double)}", partial(_after_own_steps, model.columns, whole)
    if len(pipeline.steps) > 1:
        for double in (False, True):
            alone = partial(_convert_estimator, pipeline, (*steps, *outside), double=double)
            yield f"the estimator in {_bits(double)}", partial(_after_own_steps, model.columns, alone)


def _after_own_steps(columns: InputColumns, convert: Callable[[], OnnxForm]) -> OnnxForm:
    """Return the form for inputs to which the project's own steps add their columns first."""
    form = convert()
    return replace(
        form,
        feed=lambda inputs: form.feed(columns.derive(inputs)),
        answer=lambda inputs: form.answer(columns.derive(inputs)),
    )


def _name_reading(columns: InputColumns) -> tuple[str, ...]:
    """Return what a program does with rows before anything of a file or of a preparation sees them, in words."""
    pictures = ("reading pictures: the file takes their pixels",) if columns.images else ()
    own = (f"the project's own step {step.function}, which adds {', '.join(step.adds)}" for step in columns.steps)
    return (*pictures, *own)


def _bits(double: bool) -> str:
    return "float64" if double else "float32"


def _undecided(pipeline: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the steps that answer, below calibration and threshold, and these in words."""
    if not isinstance(pipeline, Decided):
        return _answering(pipeline), ()
    outside = []
    if pipeline.curves:
        outside.append("the calibration of probabilities: the file gives them as they were before it")
    if pipeline.threshold is not None:
        positive = pipeline.classes_[pipeline.positive]
        outside.append(f"the decision: {positive} is answered from a probability of {pipeline.threshold:.6g} on")
    return _answering(pipeline.pipeline), tuple(outside)


def _answering(pipeline: Any) -> Pipeline:
    """Return the pipeline without steps that only draw rows for a fit (imbalanced-learn)."""
    *before, last = pipeline.steps
    return Pipeline(
        [(name, step) for name, step in before if step == "passthrough" or hasattr(step, "transform")] + [last]
    )


def _convert_pipeline(pipeline: Any, columns: InputColumns, outside: tuple[str, ...], *, double: bool) -> OnnxForm:
    numbers = np.float64 if double else np.float32
    feed: Callable[[Inputs], Feed]
    if columns.are_numbers:
        types = [("inputs", _number_type(len(columns.numbers), double=double))]
        takes = f"`inputs`: {np.dtype(numbers).name} of shape (n, {len(columns.numbers)}), in the order {', '.join(columns.numbers)}"

        def feed(inputs: Inputs) -> Feed:
            return {"inputs": np.asarray(inputs, dtype=numbers)}
    else:
        from skl2onnx.common.data_types import StringTensorType  # type: ignore[import-untyped]  # noqa: PLC0415

        types = [(name, _number_type(1, double=double)) for name in columns.numbers]
        types += [(name, StringTensorType([None, 1])) for name in (*columns.categories, *columns.texts)]
        takes = f"each column by its name, shape (n, 1): numbers as {np.dtype(numbers).name}, categories as text"
        takes += f", a missing one as {MISSING!r}" if columns.categories else ""
        if columns.times or columns.images:
            raise ValueError("there is no ONNX form of times and their parts, nor of pictures")

        def feed(inputs: Inputs) -> Feed:
            table = pd.DataFrame(inputs)
            given = {name: table[name].to_numpy(dtype=numbers)[:, None] for name in columns.numbers}
            words = {name: _words(table[name]) for name in (*columns.categories, *columns.texts)}
            return {**given, **words}

    content = _to_onnx(_without_missing_text(pipeline), types)
    covers: Covers = "part of the model" if outside else "whole model"
    return OnnxForm(content, covers, outside, takes, feed, _answers_of(pipeline))


def _convert_estimator(pipeline: Any, outside: tuple[str, ...], *, double: bool) -> OnnxForm:
    numbers = np.float64 if double else np.float32
    prepare, estimator = Pipeline(pipeline.steps[:-1]), pipeline.steps[-1][1]
    width = int(estimator.n_features_in_)

    def feed(inputs: Inputs) -> Feed:
        return {"inputs": _dense(prepare.transform(inputs)).astype(numbers)}

    stays = (f"the preparation of its inputs: {_name_steps(prepare)}", *outside)
    takes = f"`inputs`: {np.dtype(numbers).name} of shape (n, {width}), as the preparation gives them"
    content = _to_onnx(estimator, [("inputs", _number_type(width, double=double))])
    return OnnxForm(content, "part of the model", stays, takes, feed, _answers_of(pipeline))


def _answers_of(pipeline: Pipeline) -> Callable[[Inputs], Floats]:
    if hasattr(pipeline, "predict_proba"):
        return lambda inputs: np.asarray(pipeline.predict_proba(inputs), dtype=np.float64)
    return lambda inputs: np.asarray(pipeline.predict(inputs), dtype=np.float64).reshape(len(inputs), 1)


def _convert_network(model: Any) -> OnnxForm:
    from tasks.models.material import as_matrix  # noqa: PLC0415  brings what trains networks

    def matrix(inputs: Inputs) -> Array:
        derived = model.columns.derive(inputs)
        return as_matrix(derived if model.prepare is None else model.prepare.transform(derived))

    network = _without_augmentation(model.network, model.threads)
    (tensor,) = network.inputs
    kind, width = str(tensor.dtype), tensor.shape[1:]
    network(np.zeros((1, *(size or 1 for size in width)), dtype=kind), training=False)  # an export wants it called once
    with TemporaryDirectory(prefix="keepfit-") as scratch:
        path = Path(scratch) / "network.onnx"
        network.export(str(path), format="onnx", verbose=False)
        content = path.read_bytes()
    name = _input_names(content)[0]

    def feed(inputs: Inputs) -> Feed:
        return {name: matrix(inputs).astype(kind)}

    prepared = model.prepare is not None
    stays = [*_name_reading(model.columns)]
    stays += [f"the preparation of its inputs: {_name_steps(model.prepare)}"] if prepared else []
    if model.threshold is not None:
        positive = model.classes[model.positive]
        stays.append(f"the decision: {positive} is answered from a probability of {model.threshold:.6g} on")
    shape = ", ".join(str(size) for size in width)
    takes = f"`{name}`: {kind} of shape (n, {shape})" + (", as the preparation gives them" if prepared else "")
    covers: Covers = "part of the model" if stays else "whole model"
    answer = model.proba_inputs if model.classes else lambda inputs: np.asarray(model.predict_inputs(inputs))[:, None]
    return OnnxForm(content, covers, tuple(stays), takes, feed, answer)


def _without_augmentation(network: Any, threads: int) -> Any:
    """Return the network without layers that only change what it is trained on: ONNX has no form of their draws."""
    if not any(_is_augmentation(layer) for layer in network._flatten_layers()):
        return network
    keras = start_keras(threads)

    def copy_layer(layer: Any) -> Any:
        if _is_augmentation(layer):
            return keras.layers.Activation("linear", name=layer.name)
        return type(layer).from_config(layer.get_config())

    bare = keras.models.clone_model(network, clone_function=copy_layer, recursive=True)
    bare.set_weights(network.get_weights())
    return bare


def _is_augmentation(layer: Any) -> bool:
    return type(layer).__name__.startswith("Random")


def _to_onnx(fitted: Any, types: list[tuple[str, Any]]) -> bytes:
    from skl2onnx import convert_sklearn  # type: ignore[import-untyped]  # noqa: PLC0415  seconds to import

    register()
    last = fitted.steps[-1][1] if isinstance(fitted, Pipeline) else fitted
    options = {id(last): {"zipmap": False}} if is_classifier(last) else None
    made = convert_sklearn(fitted, name="keepfit", initial_types=types, options=options)
    return bytes(made.SerializeToString())


def _number_type(width: int, *, double: bool) -> Any:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType  # noqa: PLC0415

    return (DoubleTensorType if double else FloatTensorType)([None, width])


def _input_names(content: bytes) -> list[str]:
    import onnx  # noqa: PLC0415

    graph = onnx.load_from_string(content).graph
    constants = {one.name for one in graph.initializer}
    return [one.name for one in graph.input if one.name not in constants]


def _without_missing_text(pipeline: Any) -> Any:
    """Return a copy in which a missing category is the text MISSING from the beginning: so the file gets it."""
    changed = copy.deepcopy(pipeline)
    for step in changed.named_steps.values():
        for _, part, _ in getattr(step, "transformers_", ()):
            if isinstance(part, Pipeline):
                _settle_missing(part)
    return changed


def _settle_missing(part: Pipeline) -> None:
    kept = []
    for name, step in part.steps:
        if isinstance(step, SimpleImputer) and step.statistics_.dtype == object:
            if step.strategy == "constant" and step.fill_value == MISSING:
                continue
            step.missing_values = MISSING
        if hasattr(step, "categories_"):
            step.categories_ = [_name_missing(values) for values in step.categories_]
        kept.append((name, step))
    part.steps = kept


def _name_missing(categories: Array) -> Array:
    return np.array([MISSING if pd.isna(each) else each for each in categories], dtype=object)


def _words(column: "pd.Series[Any]") -> Array:
    return np.array([MISSING if pd.isna(each) else str(each) for each in column], dtype=object)[:, None]


def _dense(matrix: Any) -> Array:
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)


def _name_steps(prepare: Any) -> str:
    """Return the steps of a preparation in words: the classes that do it, each once, in order."""
    found: dict[str, None] = {}

    def visit(step: Any) -> None:
        if isinstance(step, Pipeline):
            for _, part in step.steps:
                visit(part)
        elif hasattr(step, "transformers_"):
            for _, part, _ in step.transformers_:
                visit(part)
        elif not isinstance(step, str):
            found[type(step).__name__] = None

    visit(prepare)
    return ", ".join(name for name in found if name != "FunctionTransformer") or "none"
