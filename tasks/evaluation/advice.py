"""A verdict in words: one sentence on what was decided and why, and what to do next."""

from collections.abc import Sequence

from infra.figures import tell
from tasks.contracts.evaluation import Decision, GateCheck
from tasks.contracts.project import ProjectSpec


def summarise(
    decision: Decision, policy: str, checks: Sequence[GateCheck], champion: str | None, spec: ProjectSpec
) -> str:
    """Return one plain sentence: what was decided and why."""
    if policy == "unchanged":
        return f"Held: the candidate is the same model as {champion}, so nothing changes."
    if decision == "PROMOTE":
        deciding = _deciding(checks)
        rest = f"all {len(checks)} checks pass"
        word = "May go" if spec.release.approval == "operator" else "Promoted"
        return f"{word}: {_gain(deciding, champion)}; {rest}." if deciding else f"{word}: {rest}."
    wanted = "fail" if decision == "REJECT" else "inconclusive"
    reasons = [check for check in checks if check.status == wanted]
    first = reasons[0]
    more = f" ({len(reasons) - 1} more such)" if len(reasons) > 1 else ""
    word = "Rejected" if decision == "REJECT" else "Held"
    return f"{word}: {first.name}{more}: {_first_sentence(first.detail)}"


def next_step(decision: Decision, policy: str, checks: Sequence[GateCheck], spec: ProjectSpec) -> str:
    """Return what a person does with this verdict."""
    if policy == "unchanged":
        return "Nothing to do. New data, another candidate or another seed would make another model."
    if decision == "PROMOTE" and spec.release.approval == "operator":
        return "Decide: approve or refuse it, in the form of its approval run or with `keepfit approve`."
    if decision == "PROMOTE":
        return "Nothing to do: the candidate may go."
    wanted = "fail" if decision == "REJECT" else "inconclusive"
    steps = [_step(check, spec) for check in checks if check.status == wanted]
    return " ".join(dict.fromkeys(steps))


def _deciding(checks: Sequence[GateCheck]) -> GateCheck | None:
    return next((check for check in checks if check.kind in {"primary", "baseline"}), None)


def _gain(check: GateCheck, champion: str | None) -> str:
    than = champion or "the dummy baseline"
    seen = f"{check.metric} {_tell(check.candidate)} against {_tell(check.champion)}"
    if check.margin:
        return f"not worse than {than} by more than {check.margin:g} ({seen})"
    return f"better than {than} by {_tell(check.difference)}, at least {_tell(check.low)} with confidence ({seen})"


def _tell(value: float | None) -> str:
    """Return a figure; a check that decides has all of its own."""
    return "none" if value is None else tell(value)


def _first_sentence(detail: str) -> str:
    head, dot, _ = detail.partition(". ")
    return head + "." if dot else detail


def _step(check: GateCheck, spec: ProjectSpec) -> str:
    if check.status == "fail":
        return _after_failure(check)
    if check.kind == "test_use":
        return "Take fresh test rows: a new snapshot or another split.seed; these have been looked at too often."
    if check.kind == "integrity":
        return "Find out why the champion gives no finite answer on some rows, or roll back, before comparing with it."
    if check.difference is None:
        return _gather(check, spec)
    return _collect(check) if check.rows_needed else _improve(check)


def _collect(check: GateCheck) -> str:
    # The estimate is rough: it may say "enough" of rows that have just not been.
    more = max((check.rows_needed or 0) - check.n, check.n // 10, 1)
    shown = (check.difference or 0.0) + (check.margin or 0.0)
    where = f" of {check.name}" if check.kind == "slice" else ""
    return (
        f"Collect about {more} more test rows{where} to detect a difference of {tell(shown)} in {check.metric} "
        f"(80 % power); these {check.n} show {_size(check)}."
    )


def _improve(check: GateCheck) -> str:
    if check.margin:
        return f"Improve the candidate on {check.name}: the loss seen is as large as allowed, more rows will not help."
    hint = " For a refresh on newer data, gate.policy: non_inferiority asks less." if check.kind == "primary" else ""
    return f"Improve the candidate: it was not ahead on {check.name}, more test rows are not likely to help.{hint}"


def _size(check: GateCheck) -> str:
    if check.smallest_detectable is None:
        return "no difference of any size"
    return f"differences from {tell(check.smallest_detectable)} on"


def _gather(check: GateCheck, spec: ProjectSpec) -> str:
    if check.kind == "slice":
        short = max(1, spec.gate.min_slice_rows - check.n)
        return f"Collect at least {short} more test rows of {check.name}, or take it out of gate.slices."
    return f"Collect more test rows: {check.name} cannot be judged on {check.n}."


def _after_failure(check: GateCheck) -> str:
    if check.kind == "budget":
        return f"Make the model smaller or faster, or raise gate.budgets ({check.name})."
    if check.kind == "integrity":
        return "Look at the training: a model that gives no finite answer is broken."
    if check.kind == "floor":
        return (
            f"Improve the candidate until it reaches the {check.name}, or say in project.yaml why a lower one will do."
        )
    if check.kind == "baseline":
        return "The model is worse than no model: look at features, target and split."
    return f"Look at what the candidate lost on {check.name}, and train another."
