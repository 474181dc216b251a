"""The project's own functions in `prepare.steps`: found by name, held to their contract, told apart by their source.

A model keeps which functions it needs and the digest of their source, never the functions: what runs is the project's code,
and only the code that the model was fitted with.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pydantic import JsonValue

from infra.errors import IntegrityError, SpecError, UsageError, name_values
from infra.projects import digest_source
from tasks.contracts.preparation import Preparation
from tasks.models.model import Load

ALONE = 5
"""So many rows are also asked one by one."""

RTOL, ATOL = 1e-9, 1e-12
"""Numbers that differ by less are alike: sums may be added up in another order."""


@dataclass(frozen=True)
class OwnStep:
    """A function of the project with its arguments, what it adds, and the digest of its source."""

    function: str
    params: Mapping[str, JsonValue]
    adds: Mapping[str, str]
    source: str
    call: Callable[..., Any] = field(compare=False, repr=False)

    def answer(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the added columns, one row a row.

        Raises
        ------
        SpecError
            The function fails, or returns something else than was declared.
        """
        try:
            added = self.call(table.copy(), **self.params)
        except Exception as error:  # the project's own code may raise anything
            raise SpecError(
                f"prepare.steps: {self.function} fails on {len(table)} rows: {type(error).__name__}: {error}",
                remedy="It must answer any rows that the contract of the columns allows, missing values and one row alone too.",
            ) from error
        received = name_values(added.columns, 10) if isinstance(added, pd.DataFrame) else type(added).__name__
        if not isinstance(added, pd.DataFrame) or set(added.columns) != set(self.adds):
            raise SpecError(
                f"prepare.steps: expected {self.function} to return a frame of the columns {name_values(self.adds, 10)}, "
                f"received {received}.",
                remedy="`adds` names what it returns; columns that it was given come along by themselves.",
            )
        if len(added) != len(table) or not added.index.equals(table.index):
            raise SpecError(
                f"prepare.steps: expected {self.function} to return {len(table)} rows in the order given, received "
                f"{len(added)}{'' if len(added) != len(table) else ' in another order or index'}.",
                remedy="It adds columns: rows neither come, go nor move.",
            )
        return added[list(self.adds)]


def find_steps(preparation: Preparation, load: Load) -> tuple[OwnStep, ...]:
    """Return the steps that a preparation names, with the source that they have now."""
    found = []
    for step in preparation.steps:
        call = load(step.function)
        found.append(OwnStep(step.function, step.params, step.adds, digest_source(call, step.function), call))
    return tuple(found)


def describe_steps(steps: tuple[OwnStep, ...]) -> list[dict[str, Any]]:
    """Return the steps as JSON for a model's manifest."""
    return [
        {"function": step.function, "params": dict(step.params), "adds": dict(step.adds), "source": step.source}
        for step in steps
    ]


def restore_steps(described: list[dict[str, Any]], load: Load | None) -> tuple[OwnStep, ...]:
    """Return the steps of a stored model, with the project's functions as they were when it was fitted.

    Raises
    ------
    IntegrityError
        The project's functions cannot be had here, or have another source by now.
    """
    steps = []
    for step in described:
        reference = step["function"]
        if load is None:
            raise IntegrityError(
                f"The model needs {reference} of its project, and is loaded without the project's functions.",
                remedy="Load it where its project's folder is.",
            )
        try:
            call = load(reference)
            found = digest_source(call, reference)
        except UsageError as error:
            raise _is_gone(reference, error.message) from error
        if found != step["source"]:
            raise _is_gone(reference, f"its source was {step['source'][:12]}…, it is {found[:12]}… now")
        steps.append(OwnStep(reference, step["params"], step["adds"], step["source"], call))
    return tuple(steps)


def _is_gone(reference: str, why: str) -> IntegrityError:
    module = reference.partition(":")[0]
    return IntegrityError(
        f"The model was fitted with another {reference} than the project has: {why}. With this one it would answer "
        "something else.",
        remedy=f"Bring {module}.py back to what it was (git log -- {module}.py). What is new belongs into a module of another "
        "name, until a model that needs it is champion.",
    )


def answer_rowwise(step: OwnStep, table: pd.DataFrame) -> pd.DataFrame:
    """Return the added columns; refuse a function that answers a row by the other rows, or each time otherwise.

    Single rows, each half and all rows must be answered alike. Single rows come first: a function that keeps what it first saw
    has then seen one row and no more.

    Parameters
    ----------
    table
        Rows that a fit sees.

    Raises
    ------
    SpecError
        An answer depends on more than its row, or is not what was declared.
    """
    n = len(table)
    singles = [slice(at, at + 1) for at in np.unique(np.linspace(0, n - 1, min(n, ALONE)).astype(int)).tolist()]
    alone = [(part, "alone", _answer_part(step, table, part)) for part in singles]
    added = step.answer(table)
    halves = [slice(0, n // 2), slice(n // 2, n)] if n > 1 else []
    parts = [*alone, *((part, "among half of them", _answer_part(step, table, part)) for part in halves)]
    for part, how, again in parts:
        for name in step.adds:
            if not _are_alike(added[name].iloc[part], again[name]):
                raise SpecError(
                    f"prepare.steps: expected {step.function} to answer each row from that row alone; {name!r} is another "
                    f"among {n} rows than {how}.",
                    remedy="What is learnt from many rows (means, ranks, shares, frequencies) belongs to the other kinds of "
                    "`prepare`, which learn from training rows only; what is drawn at random, nowhere.",
                )
    return added


def _answer_part(step: OwnStep, table: pd.DataFrame, part: slice) -> pd.DataFrame:
    return step.answer(table.iloc[part].reset_index(drop=True))


def _are_alike(first: "pd.Series[Any]", second: "pd.Series[Any]") -> bool:
    missing = first.isna().to_numpy()
    if not np.array_equal(missing, second.isna().to_numpy()):
        return False
    a, b = first[~missing].to_numpy(), second[~missing.copy()].to_numpy()
    if np.issubdtype(a.dtype, np.floating) or np.issubdtype(b.dtype, np.floating):
        return bool(np.allclose(a.astype(float), b.astype(float), rtol=RTOL, atol=ATOL))
    return bool(np.array_equal(a.astype(object), b.astype(object)))
