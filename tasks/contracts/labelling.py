"""What a queue of rows to label and a list of likely wrong labels come to."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from tasks.contracts.frozen import Contract
from tasks.contracts.values import Name

QueueBy = Literal["uncertainty", "disagreement", "both"]
Uncertainty = Literal["margin", "entropy", "least_confidence"]
Disagreement = Literal["divergence", "votes"]


class QueuedRow(Contract):
    """A row that waits for a label, and why it was chosen."""

    row: str = Field(description="The row's own id.")
    window: str = Field(description="The scored window it is of; empty: the given file.")
    picked: Literal["worth", "random"] = Field(
        description="random: drawn from all unlabelled rows, whatever models think."
    )
    uncertainty: float = Field(description="Of the champion, 0 (sure) to 1.")
    disagreement: float | None = Field(description="Of the models asked, 0 (as one) to 1; None: only one was asked.")


class QueueOutcome(Contract):
    """The rows most worth a label, in the order of the file that was written."""

    project: Name
    champion: str
    committee: tuple[str, ...] = Field(description="The models whose disagreement counts, the champion first.")
    by: QueueBy = Field(description="What chose the rows; not always what was asked: `notes` then says why.")
    unlabelled: int = Field(description="Rows without a label.")
    distinct: int = Field(description="Of these, rows that differ from one another and from what has a label.")
    labelled: int = Field(description="Rows looked at that have a label already.")
    rows: tuple[QueuedRow, ...]
    notes: tuple[str, ...] = ()
    output: str = ""


class LabelIssue(Contract):
    """A label that is likely wrong."""

    row: str = Field(description="The row's id; its number among the training rows where the project names none.")
    given: str | int | float | bool
    likely: str | int | float | bool
    score: float = Field(description="Probability that models not fitted on the row give to its label: 0 is the worst.")


class FlipTrial(Contract):
    """What was found of labels that were flipped on purpose, in a copy: what the list is worth on these rows."""

    flipped: int
    found: int = Field(description="Of the flipped labels, those that were listed.")
    listed: int = Field(description="Rows listed in the trial and not before it.")
    first: int = Field(description="As many as were flipped, or all that were listed where these are fewer.")
    right_of_first: int = Field(description="Of the first of these, those that were flipped.")


class IssuesOutcome(Contract):
    """Labels that are likely wrong, the worst first. Nothing was changed."""

    project: Name
    version: str = Field(description="The model whose training rows and recipe these are.")
    candidate: str
    as_of: datetime
    training_rows: int
    judged_rows: int = Field(description="Rows that models which were not fitted on them answered.")
    issues: tuple[LabelIssue, ...]
    trial: FlipTrial | None = None
    expectation: str = Field(description="How many of the list to expect to be right, in words.")
    output: str = ""
