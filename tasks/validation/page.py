"""The result of validation as one self-contained HTML page: the verdict first, then the evidence."""

from collections import Counter
from pathlib import Path

from tasks.contracts.data import Check
from tasks.contracts.project import ProjectSpec
from tasks.validation.contract import ValidationOutcome
from tasks.validation.profile import profile_columns

STATUSES = ("crashed", "failed", "warning", "passed")
SHOWN_REASONS = 50


def render_page(outcome: ValidationOutcome, spec: ProjectSpec) -> str:
    """Return the page; it loads nothing from anywhere and shows no value of a text column.

    Parameters
    ----------
    outcome
        From `examine_frame` or `validate_frame`.
    spec
        The project.
    """
    import jinja2  # noqa: PLC0415 - only this step makes a page

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("page.html").render(
        spec=spec,
        outcome=outcome,
        verdict="accepted" if outcome.problem is None else "refused",
        summary=_summarise(outcome),
        checks=sorted(outcome.checks, key=lambda check: STATUSES.index(check.status)),
        counts=_count_statuses(outcome.checks),
        reasons=_count_reasons(outcome),
        profiles=profile_columns(outcome.accepted, spec),
    )


def _summarise(outcome: ValidationOutcome) -> str:
    accepted, aside = len(outcome.accepted), len(outcome.quarantined)
    if outcome.problem is not None:
        return f"Of {outcome.rows:,} rows, {accepted:,} keep the contract and {aside:,} break it; none of them goes on."
    set_aside = f", {aside:,} are set aside" if aside else ""
    return f"{accepted:,} of {outcome.rows:,} rows keep the contract and go on{set_aside}."


def _count_statuses(checks: tuple[Check, ...]) -> str:
    counts = Counter[str](check.status for check in checks)
    return ", ".join(f"{counts[status]} {status}" for status in reversed(STATUSES) if counts[status])


def _count_reasons(outcome: ValidationOutcome) -> list[tuple[str, int]]:
    if outcome.quarantined.empty:
        return []
    counts = outcome.quarantined.iloc[:, -1].value_counts()
    return [(str(reason), int(count)) for reason, count in counts.head(SHOWN_REASONS).items()]
