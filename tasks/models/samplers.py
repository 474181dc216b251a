"""Rows made and left out by their neighbours, with imbalanced-learn: between the preprocessing and the estimator.

Neighbours are looked for in the prepared matrix, where nothing is missing. A number counts in standard deviations, so that who
is near does not depend on units; two different values of a category are as far apart as two numbers by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from infra.errors import InsufficientData, SpecError
from tasks.contracts.imbalance import Balance
from tasks.models.balancing import wanted_sizes
from tasks.models.inputs import InputColumns
from tasks.models.model import Array, Floats

BY_NEIGHBOURS = ("smote", "borderline_smote", "adasyn", "tomek", "edited_nearest_neighbours", "smote_tomek")
"""What `balance.resample` may name that is done here."""

Groups = Sequence[Sequence[int]]
"""Columns that hold one category each: one column, or the several of a one-hot encoding."""


class Prepared(NamedTuple):
    """Rows after preprocessing, as an estimator is fitted on them."""

    matrix: Array
    """Shape (n, k), dense."""
    target: Array
    weights: Floats | None = None


def resample_prepared(rows: Prepared, nominal: Groups, balance: Balance, seed: int, where: str) -> Prepared:
    """Return the rows with made ones behind them, or without those that are left out; others stay as they are.

    Parameters
    ----------
    rows
        The rows that a fit sees, and no others.
    nominal
        Which columns hold categories: of these no mixture is made, and their distance is alike or not alike.
    balance
        `resample` is one of BY_NEIGHBOURS.
    seed
        Of what is drawn.
    where
        The candidate, for messages.

    Raises
    ------
    InsufficientData
        A class has too few rows for its neighbours, or none is left of it.
    SpecError
        What is asked does not go with these columns.
    """
    if rows.matrix.ndim != 2:
        raise SpecError(
            f"{where}.balance.resample: {balance.resample} mixes rows of numbers and categories; these have the shape "
            f"{rows.matrix.shape[1:]} each.",
            remedy="With pictures take `resample: over`, `resample: under` or `weights: balanced`.",
        )
    return _Sampling(rows, _Space.learn(rows.matrix, nominal, where), balance, seed, where).run()


def require_mixable(columns: InputColumns, balance: Balance, where: str) -> None:
    """Refuse neighbours among texts and pictures.

    Raises
    ------
    SpecError
        Rows are to be made or left out by their neighbours, and the features hold text or pictures.
    """
    unmixable = [*columns.texts, *columns.images]
    if balance.resample in BY_NEIGHBOURS and unmixable:
        kind = "text" if columns.texts else "pictures"
        raise SpecError(
            f"{where}.balance.resample: {balance.resample} looks for near rows among numbers and categories; {unmixable[0]!r} "
            f"holds {kind}, and a mixture of two is none.",
            remedy="With them take `resample: over`, `resample: under` or `weights: balanced`.",
        )


@dataclass(frozen=True)
class _Space:
    """The matrix as distances see it, and the way back."""

    width: int
    continuous: Array
    mean: Floats
    scale: Floats
    nominal: Groups
    values: tuple[Array, ...]
    """For each category the rows of its columns that occur."""

    @classmethod
    def learn(cls, matrix: Array, nominal: Groups, where: str) -> "_Space":
        if missing := int(np.isnan(matrix).any(axis=1).sum()):
            raise SpecError(
                f"{where}.balance.resample: expected no missing value after `prepare`; {missing} of {len(matrix)} rows have "
                "one, and have no distance to others.",
                remedy="Let prepare.number.impute fill them in (median, mean, zero, nearest), or take `resample: over`.",
            )
        left = np.setdiff1d(np.arange(matrix.shape[1]), [at for group in nominal for at in group])
        numbers = matrix[:, left].astype(np.float64)
        spread = numbers.std(axis=0)
        values = tuple(np.unique(matrix[:, list(group)], axis=0) for group in nominal)
        return cls(matrix.shape[1], left, numbers.mean(axis=0), np.where(spread > 0, spread, 1.0), nominal, values)

    @property
    def categorical(self) -> list[int]:
        """Places of the categories' codes among the columns of `encode`."""
        return list(range(len(self.continuous), len(self.continuous) + len(self.nominal)))

    def encode(self, matrix: Array) -> Floats:
        """Return standardised numbers, then a code for each category."""
        codes = [_find(matrix[:, list(group)], known) for group, known in zip(self.nominal, self.values, strict=True)]
        numbers = (matrix[:, self.continuous].astype(np.float64) - self.mean) / self.scale
        return np.column_stack([numbers, *codes]).astype(np.float64)

    def decode(self, encoded: Floats, kind: Any) -> Array:
        matrix = np.empty((len(encoded), self.width), dtype=kind)
        matrix[:, self.continuous] = encoded[:, : len(self.continuous)] * self.scale + self.mean
        for place, group, known in zip(self.categorical, self.nominal, self.values, strict=True):
            matrix[:, list(group)] = known[encoded[:, place].astype(np.intp)]
        return matrix

    def spread(self, encoded: Floats) -> Floats:
        """Return the numbers, then each category as columns in which two different values are 1 apart."""
        shares = [
            np.eye(len(known))[encoded[:, place].astype(np.intp)] / np.sqrt(2)
            for place, known in zip(self.categorical, self.values, strict=True)
        ]
        return np.column_stack([encoded[:, : len(self.continuous)], *shares])


def _find(rows: Array, known: Array) -> Array:
    """Return for each row its place among the known ones, all of which are sorted and distinct."""
    if rows.shape[1] == 1:
        return np.searchsorted(known[:, 0], rows[:, 0])
    _, places = np.unique(np.vstack([known, rows]), axis=0, return_inverse=True)
    return places.reshape(-1)[len(known) :]


@dataclass(frozen=True)
class _Sampling:
    rows: Prepared
    space: _Space
    balance: Balance
    seed: int
    where: str

    def run(self) -> Prepared:
        how = self.balance.resample
        encoded = self.space.encode(self.rows.matrix)
        if how in ("tomek", "edited_nearest_neighbours"):
            return self._take(self.rows, self._clean(how, self.space.spread(encoded), self._codes(self.rows.target)))
        grown = self._grow(encoded)
        if how != "smote_tomek":
            return grown
        both = self.space.spread(self.space.encode(grown.matrix))
        return self._take(grown, self._clean("tomek_of_all", both, self._codes(grown.target)))

    def _codes(self, target: Array) -> Array:
        return np.asarray(np.unique(target, return_inverse=True)[1])

    def _grow(self, encoded: Floats) -> Prepared:
        classes, codes, sizes = np.unique(self.rows.target, return_inverse=True, return_counts=True)
        wanted = wanted_sizes(sizes, self.balance.ratio)
        growing = {code: int(wanted[code]) for code in np.flatnonzero(wanted > sizes).tolist()}
        if not growing:
            return self.rows
        if self.rows.weights is not None:
            raise SpecError(
                f"{self.where}.balance.resample: {self.balance.resample} makes rows that have no weight, and "
                "rows are weighed here (training_rows.keep 'decay', or a loss that weighs classes).",
                remedy="Take `resample: over`, or weigh no rows: `training_rows: {keep: last}`, another loss.",
            )
        self._require_neighbours(classes[list(growing)], sizes[list(growing)])
        try:
            matrix, target = self._maker(growing).fit_resample(encoded, codes)
        except ValueError as error:
            if "No samples will be generated" not in str(error):  # adasyn: too few for a share of each row to be one
                raise
            return self.rows
        except RuntimeError as error:  # adasyn
            raise InsufficientData(
                f"{self.where}.balance.resample: adasyn makes rows where classes meet, and here none of the rare class is near "
                "another.",
                remedy="Take `resample: smote`, which makes them anywhere.",
            ) from error
        n = len(encoded)
        made = self.space.decode(np.asarray(matrix[n:], dtype=np.float64), self.rows.matrix.dtype)
        return Prepared(
            np.vstack([self.rows.matrix, made]), np.concatenate([self.rows.target, classes[np.asarray(target[n:])]])
        )

    def _maker(self, growing: dict[int, int]) -> Any:
        from imblearn import over_sampling  # noqa: PLC0415  heavy

        how, k = self.balance.resample, self.balance.neighbours
        drawn = {"sampling_strategy": growing, "random_state": self.seed}
        categorical = self.space.categorical
        if how in ("borderline_smote", "adasyn") and categorical:
            raise SpecError(
                f"{self.where}.balance.resample: {how} makes rows of numbers alone; {len(categorical)} columns hold "
                "categories after `prepare`.",
                remedy="Take `resample: smote`, or encode categories as numbers (prepare.category.encode: target).",
            )
        if how == "borderline_smote":
            return over_sampling.BorderlineSMOTE(**drawn, k_neighbors=k, m_neighbors=2 * k)
        if how == "adasyn":
            return over_sampling.ADASYN(**drawn, n_neighbors=k)
        if not len(self.space.continuous):
            return over_sampling.SMOTEN(**drawn, k_neighbors=k)
        if categorical:
            return over_sampling.SMOTENC(categorical, **drawn, k_neighbors=k)
        return over_sampling.SMOTE(**drawn, k_neighbors=k)

    def _clean(self, how: str, spread: Floats, codes: Array) -> Array:
        """Return the places of the rows that stay, in their order."""
        from imblearn import under_sampling  # noqa: PLC0415  heavy

        k = self.balance.neighbours
        if how == "edited_nearest_neighbours":
            self._require_rows(len(codes), k)
            cleaner = under_sampling.EditedNearestNeighbours(n_neighbors=k, kind_sel="mode")
        else:
            cleaner = under_sampling.TomekLinks(sampling_strategy="all" if how == "tomek_of_all" else "auto")
        cleaner.fit_resample(spread, codes)
        return np.sort(np.asarray(cleaner.sample_indices_))

    def _take(self, rows: Prepared, kept: Array) -> Prepared:
        target = rows.target[kept]
        gone = sorted(set(rows.target.tolist()) - set(target.tolist()), key=repr)
        if gone:
            raise InsufficientData(
                f"{self.where}.balance.resample: {self.balance.resample} leaves no row of class {gone[0]!r}: all of them "
                "are among rows of other classes.",
                remedy="Take `resample: over`, or features that tell the classes apart.",
            )
        weights = None if rows.weights is None else rows.weights[kept] / rows.weights[kept].mean()
        return Prepared(rows.matrix[kept], target, weights)

    def _require_neighbours(self, classes: Array, sizes: Array) -> None:
        k, n = self.balance.neighbours, len(self.rows.target)
        for name, size in zip(classes.tolist(), sizes.tolist(), strict=True):
            if size <= k:
                raise InsufficientData(
                    f"{self.where}.balance.resample: {self.balance.resample} makes a row between one and its {k} nearest of "
                    f"the same class; of class {name!r} a fit sees {size} rows.",
                    remedy="Fewer `balance.neighbours`, fewer folds, more rows, or `resample: over`.",
                )
        self._require_rows(n, 2 * k if self.balance.resample == "borderline_smote" else k)

    def _require_rows(self, n: int, k: int) -> None:
        if n <= k:
            raise InsufficientData(
                f"{self.where}.balance.resample: {self.balance.resample} looks at {k} neighbours; a fit sees {n} rows.",
                remedy="More rows, or fewer `balance.neighbours`.",
            )
