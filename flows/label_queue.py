"""The queue of rows worth a label: unlabelled rows found, models asked, rows chosen. Nothing is kept: the file is the queue."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flows.batches import read_given_file, told
from infra.errors import InsufficientData, SpecError, UsageError, name_values
from infra.suggestion import suggest
from infra.workspace import open_workspace
from tasks.batches import find_batch, read_deliveries, read_rows
from tasks.contracts.labelling import Disagreement, QueueBy, QueuedRow, QueueOutcome, Uncertainty
from tasks.contracts.models import ModelRef
from tasks.contracts.project import ProjectSpec
from tasks.project import functions_of, load_project
from tasks.release.stored import StoredVersion, find_champion_version, find_version

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from tasks.labelling.choice import Pick

logger = logging.getLogger(__name__)

COMMITTEE = 5
"""Models that are asked at most, the champion among them: each one more costs as much as scoring."""
BLOCK_ROWS = 1 << 17


@dataclass(frozen=True)
class QueueRequest:
    """What is asked of the queue."""

    project: str
    window: str = ""
    """Only this scored window; empty: all of them, or `file`."""
    file: Path | None = None
    rows: int = 50
    by: QueueBy = "both"
    uncertainty: Uncertainty = "margin"
    disagreement: Disagreement = "divergence"
    random_share: float = 0.2
    columns: tuple[str, ...] = ()
    """What people see of a row; empty: every column that the model sees, and the time."""
    seed: int = 0
    show_answers: bool = False
    pictures: str = "pictures"
    """The folder beside the file in which pictures will lie."""


class Member(NamedTuple):
    """A model that is asked, with the features that it was trained with."""

    label: str
    model: Any
    features: tuple[str, ...]


@dataclass
class Pool:
    """Unlabelled rows of all parts, one below the other, with what models think of them."""

    rows: "list[pd.DataFrame]" = field(default_factory=list)
    windows: list[str] = field(default_factory=list)
    alike: "list[NDArray[np.uint64]]" = field(default_factory=list)
    labelled_alike: "list[NDArray[np.uint64]]" = field(default_factory=list)
    shares: "list[NDArray[np.float64]]" = field(default_factory=list)
    """(models, rows, classes) of each part."""
    ids: list[str] = field(default_factory=list)
    labelled: int = 0


class Sheet(NamedTuple):
    """The file for people to fill in, as CSV, and the pictures that it names."""

    text: str
    pictures: dict[str, bytes]


def queue_labels(request: QueueRequest) -> tuple[QueueOutcome, Sheet]:
    """Return which rows to label, and the file for people to fill in.

    Raises
    ------
    UsageError
        No champion, no scored window, a column that is not there, or one model where disagreement is asked for.
    SpecError
        The project names no row id, or is no classification.
    InsufficientData
        Every row has its label.
    """
    loaded = load_project(open_workspace().settings.projects, request.project)
    champion = find_champion_version(request.project)
    spec = _queue_spec(loaded.spec, champion)
    notes: list[str] = []
    with told("rows"):
        parts = list(_read_parts(request, spec, notes))
        if not parts:
            raise UsageError(
                f"{request.project}: no scored window has the features of {champion.label}. {' '.join(notes)}",
                remedy=f"`keepfit score {request.project} --window NAME` scores a later one; or give the rows with --file.",
            )
        logger.info("%s rows", f"{sum(len(rows) for _, rows in parts):,}")
    with told("ask"):
        members = _find_committee(request, champion, spec, [rows for _, rows in parts], notes)
        pool = _fill_pool(request, spec, parts, members)
        logger.info("%s asked", name_values([member.label for member in members]))
    with told("choose"):
        by: QueueBy = request.by if len(members) > 1 else "uncertainty"
        outcome, picks = _choose(request, pool, members, by, notes)
        logger.info("%d rows chosen", len(picks))
    return outcome, _write(request, spec, pool, members[0], picks)


def _queue_spec(spec: ProjectSpec, champion: StoredVersion) -> ProjectSpec:
    """Return the spec that the champion was trained with, under today's id."""
    if spec.row_id is None:
        raise SpecError(
            f"{spec.name}: rows to label need `row_id`: labels come back by it.",
            remedy="Declare the column that names a row in project.yaml.",
        )
    if len(champion.manifest.model.classes) < 2 or spec.labels:
        raise SpecError(
            f"{spec.name}: a queue of rows to label is for one class a row; {champion.label} answers none, or several."
        )
    trained = ProjectSpec.model_validate_json(open_workspace().store.read(champion.manifest.spec))
    columns = {name: trained.columns[name] for name in (*trained.features, trained.target)}
    columns |= {name: spec.columns[name] for name in (spec.row_id, spec.time) if name}
    return trained.model_copy(update={"row_id": spec.row_id, "time": spec.time, "columns": columns})


def _read_parts(request: QueueRequest, spec: ProjectSpec, notes: list[str]) -> "Iterator[tuple[str, pd.DataFrame]]":
    """Yield the rows of each window, or of the file, in declared types, with the name of the window."""
    if request.file is not None and request.window:
        raise UsageError("Expected --file or --window, received both.", remedy="Give one of the two.")
    if request.file is not None:
        yield "", _read_file(request.file, spec)
        return
    registry = open_workspace().registry
    batches = [find_batch(request.project, request.window)] if request.window else registry.batches(request.project)
    scored = [batch for batch in batches if batch.rows]
    if not scored:
        raise UsageError(
            f"{request.project}: no scored window has rows to label.",
            remedy=f"`keepfit score {request.project} --window NAME` scores one; or give the rows with --file.",
        )
    for batch in scored:
        rows = read_rows(batch)
        if absent := [name for name in spec.features if name not in rows.columns]:
            notes.append(f"{batch.label} is left out: it was scored by {batch.model}, without {name_values(absent)}.")
            continue
        yield batch.window, rows


def _read_file(file: Path, spec: ProjectSpec) -> "pd.DataFrame":
    """Return the rows of a file that have no label yet, each id once."""
    from tasks.scoring.predicting import select_features  # noqa: PLC0415  brings pandas
    from tasks.validation.conforming import conform_types  # noqa: PLC0415
    from tasks.validation.serving import conform_features  # noqa: PLC0415

    raw_rows = read_given_file(file, spec).reset_index(drop=True)
    if spec.row_id not in raw_rows.columns:
        raise UsageError(
            f"{file.name}: expected the column {spec.row_id!r}, which names a row; received {name_values(raw_rows, 20)}."
        )
    rows = conform_features(select_features(raw_rows, spec), spec)
    kept = {name: spec.columns[name] for name in (spec.row_id, spec.time) if name and name in raw_rows.columns}
    for name, column in conform_types(raw_rows, kept).items():
        rows.insert(0, name, column.values)
    open_ = raw_rows[spec.target].isna() if spec.target in raw_rows.columns else rows[spec.row_id].notna()
    usable = open_ & rows[spec.row_id].notna()
    return rows[usable].drop_duplicates(spec.row_id).reset_index(drop=True)


def _find_committee(
    request: QueueRequest,
    champion: StoredVersion,
    spec: ProjectSpec,
    parts: "Sequence[pd.DataFrame]",
    notes: list[str],
) -> list[Member]:
    """Return the champion, the models tested beside it, and earlier versions of the same classes, the newest first."""
    here = set(parts[0].columns).intersection(*(rows.columns for rows in parts))
    wanted: list[tuple[str, ModelRef, tuple[str, ...]]] = [
        (champion.label, champion.manifest.model, tuple(spec.features))
    ]
    if request.by != "uncertainty":
        wanted += [(f"{champion.label} {m.candidate}", m, tuple(spec.features)) for m in champion.manifest.fit.beside]
        wanted += list(_earlier(request.project, champion))
    chosen: dict[str, Member] = {}
    for label, ref, features in wanted:
        usable = set(ref.classes) == set(champion.manifest.model.classes) and here.issuperset(features)
        if usable and ref.content not in chosen and len(chosen) < COMMITTEE:
            chosen[ref.content] = Member(label, _load(ref, spec.name), features)
    if request.by == "disagreement" and len(chosen) < 2:
        raise UsageError(
            f"{request.project}: disagreement needs a second model, and there is none beside {champion.label}.",
            remedy="`selection.also_test` keeps more candidates; or ask --by uncertainty.",
        )
    if request.by == "both" and len(chosen) < 2:
        notes.append(f"Chosen by uncertainty alone: there is no second model beside {champion.label}.")
    return list(chosen.values())


def _earlier(project: str, champion: StoredVersion) -> Iterator[tuple[str, ModelRef, tuple[str, ...]]]:
    """Yield the other versions that no gate rejected: of a bad model everybody differs."""
    for row in reversed(open_workspace().registry.versions(project)):
        if row.number != champion.row.number and row.decision != "REJECT":
            version = find_version(row.label)
            trained = ProjectSpec.model_validate_json(open_workspace().store.read(version.manifest.spec))
            yield version.label, version.manifest.model, tuple(trained.features)


def _load(ref: ModelRef, project: str) -> Any:
    from tasks.models.loading import load_model  # noqa: PLC0415  brings scikit-learn

    with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
        path = open_workspace().store.fetch(ref.artifact, Path(scratch) / "model")
        return load_model(path, ref.content, functions_of(open_workspace().settings.projects, project))


def _fill_pool(
    request: QueueRequest, spec: ProjectSpec, parts: "Sequence[tuple[str, pd.DataFrame]]", members: Sequence[Member]
) -> Pool:
    import pandas as pd  # noqa: PLC0415

    from tasks.labelling.choice import number_alike  # noqa: PLC0415
    from tasks.maturity import name_rows  # noqa: PLC0415

    pool = Pool()
    ids = [name_rows(rows[spec.row_id]) for _, rows in parts]
    known = _find_labelled(request.project, pd.concat(ids))
    for (window, rows), names in zip(parts, ids, strict=True):
        has_label = names.isin(known).to_numpy(dtype=bool)
        alike = number_alike(rows[list(spec.features)])
        unlabelled = rows[~has_label].reset_index(drop=True)
        pool.labelled += int(has_label.sum())
        pool.labelled_alike.append(alike[has_label])
        if len(unlabelled):
            pool.rows.append(unlabelled)
            pool.ids += names[~has_label].tolist()
            pool.windows += [window] * len(unlabelled)
            pool.alike.append(alike[~has_label])
            pool.shares.append(_ask(members, unlabelled))
    return pool


def _find_labelled(project: str, ids: "pd.Series[str]") -> set[str]:
    from tasks.maturity import ROW_ID, TRUTH  # noqa: PLC0415  brings pandas

    deliveries = read_deliveries(project, None, ids)
    return {row for one in deliveries for row in one.labels[ROW_ID][one.labels[TRUTH].notna()]}


def _ask(members: Sequence[Member], rows: "pd.DataFrame") -> "NDArray[np.float64]":
    """Return each model's probabilities, classes in the champion's order, shape (models, rows, classes)."""
    import numpy as np  # noqa: PLC0415

    classes = members[0].model.classes
    answers = []
    for member in members:
        blocks = [
            member.model.predict_proba(rows[list(member.features)].iloc[at : at + BLOCK_ROWS])
            for at in range(0, len(rows), BLOCK_ROWS)
        ]
        order = [member.model.classes.index(name) for name in classes]
        answers.append(np.concatenate(blocks)[:, order])
    return np.stack(answers)


def _choose(
    request: QueueRequest, pool: Pool, members: Sequence[Member], by: QueueBy, notes: Sequence[str]
) -> "tuple[QueueOutcome, list[Pick]]":
    import numpy as np  # noqa: PLC0415

    from tasks.labelling.choice import choose_rows, find_distinct  # noqa: PLC0415  brings pandas
    from tasks.labelling.worth import combine_worth, measure_disagreement, measure_uncertainty  # noqa: PLC0415

    if not pool.rows:
        raise InsufficientData(
            f"{request.project}: every one of {pool.labelled:,} rows has its label.",
            remedy="Score a later window, or give other rows with --file.",
        )
    shares = np.concatenate(pool.shares, axis=1)
    unsure = measure_uncertainty(shares[0], request.uncertainty)
    apart = measure_disagreement(shares, request.disagreement) if len(members) > 1 else None
    asked = [unsure] if by != "disagreement" else []
    asked += [apart] if apart is not None and by != "uncertainty" else []
    distinct = find_distinct(np.concatenate(pool.alike), np.concatenate(pool.labelled_alike))
    if not len(distinct):
        raise InsufficientData(f"{request.project}: each of the unlabelled rows is like one that has its label.")
    picks = choose_rows(combine_worth(asked), distinct, request.rows, request.random_share, request.seed)
    rows = [
        QueuedRow(
            row=pool.ids[pick.place],
            window=pool.windows[pick.place],
            picked=pick.picked,
            uncertainty=float(unsure[pick.place]),
            disagreement=None if apart is None else float(apart[pick.place]),
        )
        for pick in picks
    ]
    outcome = QueueOutcome(
        project=request.project,
        champion=members[0].label,
        committee=tuple(member.label for member in members),
        by=by,
        unlabelled=len(unsure),
        distinct=len(distinct),
        labelled=pool.labelled,
        rows=tuple(rows),
        notes=tuple(notes),
    )
    return outcome, picks


def _write(request: QueueRequest, spec: ProjectSpec, pool: Pool, champion: Member, picks: "Sequence[Pick]") -> Sheet:
    """Return the file: the id, the time and what a person needs of each row; the model's answers only where asked for."""
    import pandas as pd  # noqa: PLC0415

    from tasks.labelling.sheets import part_pictures, write_sheet  # noqa: PLC0415

    rows = pd.concat(pool.rows, ignore_index=True).iloc[[pick.place for pick in picks]].reset_index(drop=True)
    shown = _shown_columns(request, spec, list(rows.columns))
    answers = None
    if request.show_answers:
        features = rows[list(champion.features)]
        most = champion.model.predict_proba(features).max(axis=1)
        answers = pd.DataFrame({"prediction": champion.model.predict(features), "probability": most})
    parted, pictures = part_pictures(rows[shown], request.pictures)
    return Sheet(write_sheet(parted, spec, answers), pictures)


def _shown_columns(request: QueueRequest, spec: ProjectSpec, there: Sequence[str]) -> list[str]:
    for name in request.columns:
        if name not in there:
            raise UsageError(f"--columns: no column {name!r} in these rows.{suggest(name, there)}")
    wanted = request.columns or (*((spec.time,) if spec.time in there else ()), *spec.features)
    return list(dict.fromkeys(name for name in (spec.row_id, *wanted) if name is not None))
