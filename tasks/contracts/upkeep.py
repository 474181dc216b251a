"""The sections of project.yaml that keep a model fit: which rows train, how the model is watched, what an alarm may start."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.contracts.frozen import Contract
from tasks.contracts.values import Positive, Reference, Share


class TrainingRows(Contract):
    """Which of the rows that are known train: for a world that changes, the older ones may say less."""

    keep: Literal["all", "last", "decay"] = Field(
        "all", description="all: an expanding window; last: the last `days`; decay: all, older rows weigh less."
    )
    days: Annotated[float, Field(gt=0)] | None = Field(None, description="last: how many days before the test rows.")
    half_life_days: Annotated[float, Field(gt=0)] | None = Field(
        None, description="decay: a row this much older than the newest training row weighs half."
    )

    @model_validator(mode="after")
    def _length_where_needed(self) -> Self:
        wanted = {"all": None, "last": "days", "decay": "half_life_days"}[self.keep]
        for name in ("days", "half_life_days"):
            if (getattr(self, name) is not None) != (name == wanted):
                raise ValueError(
                    f"keep {self.keep!r} needs {f'`{wanted}` and nothing else' if wanted else 'no length'}"
                )
        return self


class Labels(Contract):
    """When the truth about a row is known, and where it comes from."""

    delay_days: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="A row's label is due so many days after the row's time; before that its absence means nothing.",
    )
    function: Reference | None = Field(
        None,
        description="`module:function(start, end, as_of)` in the project's folder: the labels known at `as_of` of the rows "
        "from `start` up to `end`, as a DataFrame with the row id and the target.",
    )


class Drift(Contract):
    """When a change of the inputs or of the predictions is an alarm."""

    reference: Literal["training", "trailing", "same_season"] = Field(
        "training",
        description="What a window is held against: the champion's training rows, the last windows, or the same window "
        "a year before.",
    )
    trailing_windows: Positive = Field(3, description="trailing: how many windows before this one.")
    false_alarm_rate: Annotated[float, Field(gt=0, le=0.2)] = Field(
        0.01, description="Share of the windows without any change that may alarm; thresholds are calibrated to it."
    )
    min_rows: Positive = Field(200, description="A smaller window says nothing: UNKNOWN, never FINE.")
    alarms: Positive = Field(1, description="How many of the last `of_windows` windows, this one included, must drift.")
    of_windows: Positive = Field(1, description="How many windows are looked back on.")
    min_importance: Share = Field(
        0.0, description="A feature with a smaller share of the champion's importance is shown and raises no alarm."
    )

    @model_validator(mode="after")
    def _as_many_as_there_are(self) -> Self:
        if self.alarms > self.of_windows:
            raise ValueError(f"expected alarms of at most of_windows = {self.of_windows}, received {self.alarms}")
        return self


class Performance(Contract):
    """When the champion's figures on matured labels are an alarm."""

    margin: Annotated[float, Field(ge=0)] = Field(
        0.02,
        description="Largest tolerated fall of the primary metric below the one on the test rows; to be given with rmse and mae.",
    )
    min_rows: Positive = Field(200, description="Fewer matured rows say nothing.")
    min_matured: Share = Field(
        0.9, description="Smallest share of a window's due labels that must have arrived before it is judged."
    )


class Monitoring(Contract):
    """How the model in use is watched."""

    window: Literal["day", "week", "month"] = Field("day", description="Which rows are looked at together (UTC).")
    rows: Reference | None = Field(
        None,
        description="`module:function(start, end)` in the project's folder: the rows from `start` up to `end` as they are "
        "known when they are scored, without their target; left out: rows come as files.",
    )
    labels: Labels = Field(Labels(), description="When and where the truth about a row is known.")
    drift: Drift = Field(Drift(), description="When a change of the inputs or of the predictions is an alarm.")
    performance: Performance = Field(Performance(), description="When worse figures on matured labels are an alarm.")


GatePolicy = Literal["superiority", "non_inferiority"]


class Policies(Contract):
    """The gate's policy by what started the run; left out: `gate.policy`."""

    schedule: GatePolicy | None = Field("non_inferiority", description="A refresh on newer rows.")
    drift: GatePolicy | None = Field("superiority", description="The inputs changed.")
    performance: GatePolicy | None = Field("superiority", description="The figures fell.")
    operator: GatePolicy | None = Field(None, description="Somebody asked.")


class Watch(Contract):
    """After a release: the version before comes back where the new one does worse in use."""

    windows: Annotated[int, Field(ge=0)] = Field(1, description="How many windows are watched; 0: none.")
    margin: Annotated[float, Field(ge=0)] = Field(
        0.02,
        description="A fall of the primary metric on matured rows beyond this rolls back; to be given with rmse and mae.",
    )


class Retraining(Contract):
    """What starts a retraining by itself, what judges it, and what stops it."""

    policies: Policies = Field(Policies(), description="The gate's policy by what started the run.")
    cooldown_days: Annotated[float, Field(ge=0)] = Field(
        1.0, description="After a retraining that an alarm started, so many days without another one."
    )
    max_per_day: Positive = Field(1, description="Retrainings that alarms may start in 24 hours.")
    breaker_after: Positive = Field(
        3, description="After so many gates in a row without a promotion no alarm retrains until a person says so."
    )
    watch: Watch = Field(Watch(), description="What happens after a release that an alarm led to.")
