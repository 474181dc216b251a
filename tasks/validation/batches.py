"""The rows of a window held against the contract before they are scored: scored, or set aside with their reasons.

The same rules as in training, without the target: what training would set aside the model has never seen. Great Expectations
is asked only where the project has expectations of its own. `keepfit predict` asks less, because there somebody wants an
answer for this one row.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from infra.errors import ContractBroken, DataError, InsufficientData, name_values
from infra.frames import digest_frame
from tasks.contracts.monitoring import Window
from tasks.contracts.project import ProjectSpec
from tasks.validation.conforming import Conformed, Mask, conform_types, settle_types
from tasks.validation.names import compare_names, explain_missing
from tasks.validation.own_rules import Broken, find_broken, select_expectations
from tasks.validation.rules import compile_contract
from tasks.validation.shares import exceeds

WITH_ITS_BATCH = "set aside with its batch"
REASONS = "reasons"


@dataclass(frozen=True)
class ExaminedBatch:
    """What the contract says of a window's rows; rows in = accepted + quarantined.

    `accepted` holds row id, time and features in declared types, by time and id. `quarantined` holds the rows as they came,
    with a column `reasons`. `content` is the digest of what came in, whatever its order. Where `problem` is set, the batch
    was set aside whole.
    """

    rows: int
    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    reasons: dict[str, int]
    content: str
    problem: DataError | None = None


def examine_batch(raw_rows: pd.DataFrame, spec: ProjectSpec, window: Window) -> ExaminedBatch:
    """Return which rows can be scored, and why the others cannot.

    A row is set aside for a cell that breaks the contract of its column, for an id that occurs twice, or where it breaks an
    expectation of the project whose columns are all there; the whole batch where a column is missing, more than
    `validation.quarantine_share` of the rows are set aside, more cells of a column are missing than its `null_share` allows,
    or an expectation of a whole column does not hold.

    Parameters
    ----------
    raw_rows
        Rows as received; columns that the model does not need are left out.
    spec
        The project, with `row_id` and `time`.
    window
        The window whose rows these are.

    Raises
    ------
    InsufficientData
        There is no row.
    DataError
        Rows of another time than the window's.
    CheckCrashed
        An expectation failed to run.
    """
    if raw_rows.empty:
        raise InsufficientData(
            f"{spec.name}/{window.name}: expected rows to score, received none.",
            remedy="Nothing was kept: score the window again when its rows are there.",
        )
    needed = _narrow(spec)
    conformed = conform_types(raw_rows, needed.columns)
    _require_times(conformed, spec, window)
    missing, unknown = compare_names(list(raw_rows.columns), list(needed.columns))
    whole = [explain_missing(name, unknown) for name in missing]
    found = Broken({}, []) if missing else _find_broken(needed, raw_rows, conformed)
    masks = found.rows
    broken = np.zeros(len(raw_rows), dtype=bool)
    for mask in masks.values():
        broken |= mask
    whole += [] if missing else [*_find_excess(needed, conformed, int(broken.sum())), *found.whole]
    if whole:
        broken = np.ones(len(raw_rows), dtype=bool)
    table = _settle(conformed, len(raw_rows))
    order = _order(table, spec)
    return ExaminedBatch(
        rows=len(raw_rows),
        accepted=table.iloc[order[~broken[order]]].reset_index(drop=True) if not missing else pd.DataFrame(),
        quarantined=_set_aside(raw_rows, broken, masks, whole),
        reasons=dict(Counter({reason: int(mask.sum()) for reason, mask in masks.items()}).most_common()),
        content=digest_frame(table.iloc[order]),
        problem=_explain(spec, window, len(raw_rows), masks, whole) if whole else None,
    )


def _narrow(spec: ProjectSpec) -> ProjectSpec:
    """Return the project as far as scoring goes: id, time (neither ever missing) and features, and what can be asked of them."""
    key = {name: spec.columns[name].model_copy(update={"null_share": 0.0}) for name in (spec.row_id, spec.time) if name}
    columns = {**key, **spec.features}
    expectations = select_expectations(spec.validation.expectations, columns, spec.columns)
    validation = spec.validation.model_copy(update={"expectations": expectations})
    return spec.model_copy(update={"columns": columns, "validation": validation})


def _require_times(conformed: Mapping[str, Conformed], spec: ProjectSpec, window: Window) -> None:
    if spec.time is None or spec.time not in conformed:
        return
    times = conformed[spec.time].values
    outside = (times < pd.Timestamp(window.start)) | (times >= pd.Timestamp(window.end))
    if outside.any():
        span = f"{times.min():%Y-%m-%d %H:%M} to {times.max():%Y-%m-%d %H:%M}"
        raise DataError(
            f"{spec.name}/{window.name}: expected rows from {window.start:%Y-%m-%d %H:%M} up to {window.end:%Y-%m-%d %H:%M} "
            f"UTC by {spec.time!r}; {int(outside.sum()):,} of {len(times):,} are of another time ({span}).",
            remedy="Name the window of these rows, or leave the others out. Nothing was scored.",
        )


def _find_broken(spec: ProjectSpec, raw_rows: pd.DataFrame, conformed: Mapping[str, Conformed]) -> Broken:
    """Return the rows that break a rule, by the reason in words, and what the project expects of whole columns in vain."""
    contract = compile_contract(spec, raw_rows, conformed)
    asked = [(rule.reason, rule.breaks()) for rule in contract.rules if rule.breaks is not None]
    own = find_broken(contract.rules, contract.batch, spec)
    return Broken({**{reason: mask for reason, mask in asked if mask.any()}, **own.rows}, own.whole)


def _find_excess(spec: ProjectSpec, conformed: Mapping[str, Conformed], broken: int) -> list[str]:
    """Return why the whole batch is set aside: too many broken rows, a column with too many cells missing."""
    rows, share, found = len(next(iter(conformed.values())).values), spec.validation.quarantine_share, []
    if exceeds(broken, rows, share):
        found.append(f"{broken:,} of {rows:,} rows break the contract; a share of {share:g} may be set aside")
    for name, column in spec.columns.items():
        count = int(conformed[name].values.isna().sum())
        if column.null_share and column.null_share < 1 and exceeds(count, rows, column.null_share):
            found.append(f"{name}: {count:,} of {rows:,} cells are missing; a share of {column.null_share:g} may be")
    return found


def _settle(conformed: Mapping[str, Conformed], rows: int) -> pd.DataFrame:
    columns = {name: part.values for name, part in conformed.items()}
    return settle_types(pd.DataFrame(columns, index=pd.RangeIndex(rows), copy=False))


def _order(table: pd.DataFrame, spec: ProjectSpec) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return the positions by time and id: the same rows are the same batch in whatever order they come."""
    keys = [name for name in (spec.time, spec.row_id) if name is not None and name in table.columns]
    positions = pd.Series(np.arange(len(table)), index=table.index)
    if keys:
        positions = positions[table.sort_values(keys, kind="stable").index]
    return positions.to_numpy(dtype=np.int64)


def _set_aside(raw_rows: pd.DataFrame, broken: Mask, masks: Mapping[str, Mask], whole: Sequence[str]) -> pd.DataFrame:
    said = np.full(int(broken.sum()), "", dtype=object)
    for reason, mask in masks.items():
        here = mask[broken]
        said[here] = [f"{before}; {reason}" if before else reason for before in said[here]]
    if whole:
        said[said == ""] = f"{WITH_ITS_BATCH}: {'; '.join(whole)}"
    aside = _keepable(raw_rows[broken].reset_index(drop=True))
    name = REASONS if REASONS not in aside else f"keepfit_{REASONS}"
    return aside.assign(**{name: pd.Series(said, dtype="str")})


def _keepable(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a column of mixed types as text: what is broken must be kept, in whatever state it came."""
    kept = rows.rename(columns=str)
    for name in kept.columns:
        try:
            digest_frame(kept[[name]])
        except DataError:
            kept[name] = kept[name].map(repr, na_action="ignore").astype("str")
    return kept


def _explain(
    spec: ProjectSpec, window: Window, rows: int, masks: Mapping[str, Mask], whole: Sequence[str]
) -> ContractBroken:
    counted = sorted(((int(mask.sum()), reason) for reason, mask in masks.items()), reverse=True)
    lines = [*whole, *(f"{count:,} rows: {reason}" for count, reason in counted[:5])]
    head = f"{spec.name}/{window.name}: the batch was set aside whole, all {rows:,} rows, with their reasons"
    unnamed = f"\n  and {len(counted) - 5} reasons more" if len(counted) > 5 else ""
    return ContractBroken(
        "\n  ".join([f"{head}:", *lines]) + unnamed,
        remedy="Mend the rows at their source and score the window again, or change the contract in project.yaml.",
    )


def say_unknown(raw_rows: pd.DataFrame, spec: ProjectSpec) -> str:
    """Return the sentence on columns that nobody declared, nothing where there are none."""
    unknown = [name for name in raw_rows.columns if name not in spec.columns]
    return f"Unknown columns are left out: {name_values(unknown)}." if unknown else ""
