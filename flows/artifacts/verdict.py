"""The verdict on a candidate: its checks, its figures and its pictures, and the way to the version's full page."""

import base64
import math
from collections.abc import Iterable, Iterator, Sequence

from prefect.artifacts import create_link_artifact, create_markdown_artifact

from flows.artifacts.publishing import figure, has_page, publishing, words
from infra.artifacts.reference import LONGEST_LINK, ArtifactRef
from infra.workspace import open_workspace
from tasks.contracts.evaluation import EvaluationReport, GateCheck, GroupRates, Rate, Verdict
from tasks.contracts.models import CandidateScore, FitReport
from tasks.contracts.release import Proposal, RunOutcome
from tasks.contracts.tuning import TunedCandidate

MARKS = {"pass": "✓", "inconclusive": "?", "fail": "✗"}


def publish_outcome(outcome: RunOutcome) -> None:
    """Put the verdict and the pictures on the run's page, and a link to the version's own."""
    if not has_page():
        return
    title = outcome.version or outcome.project
    _publish(title, outcome.verdict, outcome.evaluation, outcome.fit)
    if outcome.report and outcome.version:
        publish_report(outcome.version, outcome.report)


def publish_proposal(proposal: Proposal) -> None:
    """Put what the gate said of a waiting version on the page of the run that asks for its approval."""
    _publish(proposal.label, proposal.verdict, proposal.evaluation)
    publish_report(proposal.label, proposal.report)


def publish_report(label: str, report: ArtifactRef) -> None:
    """Put a link to a version's page on the run's page; it works for LONGEST_LINK."""
    with publishing("the link to the report"):
        link = open_workspace().store.link(report, LONGEST_LINK)
        create_link_artifact(
            link,
            link_text=f"The page of {label}",
            description=f"Report: everything about {label}, its verdict, figures, pictures, data, lineage. "
            f"The link works for {LONGEST_LINK.days} days; `keepfit show {label} --page FILE` writes the page at any time.",
        )


def render_verdict(title: str, verdict: Verdict) -> Iterator[str]:
    """Yield the verdict and its checks as lines of Markdown."""
    yield f"# {verdict.decision}: {title}"
    yield words(verdict.summary)
    yield ""
    yield f"**Next:** {words(verdict.next_step)}"
    yield ""
    yield "| | check | candidate | against | difference | interval | n |"
    yield "|---|---|---|---|---|---|---|"
    yield from (_check_line(check) for check in verdict.checks)
    yield ""
    yield from (f"- {words(check.name)}: {words(check.detail)}" for check in verdict.checks if check.status != "pass")


def render_checks(verdict: Verdict) -> Iterator[str]:
    """Yield each check as a line of its own, for where a table would be too wide."""
    for check in verdict.checks:
        seen = [figure(check.candidate), f"against {figure(check.champion)}" if check.champion is not None else ""]
        if check.difference is not None:
            seen.append(f"difference {figure(check.difference)}")
        if check.low is not None and check.high is not None:
            seen.append(f"[{figure(check.low)}, {figure(check.high)}]")
        seen.append(f"n {check.n}" if check.n else "")
        figures = ", ".join(word for word in seen if word)
        yield f"- {MARKS[check.status]} **{words(check.name)}**{f': {figures}' if figures else ''}"


def render_figures(evaluation: EvaluationReport) -> Iterator[str]:
    """Yield the figures on the test rows as lines of Markdown."""
    yield "| on the test rows | value | interval | champion | dummy baseline |"
    yield "|---|---|---|---|---|"
    champion = {metric.metric: metric.value for metric in evaluation.champion}
    for metric, baseline in zip(evaluation.metrics, evaluation.baseline, strict=True):
        between = f"{figure(metric.low)} to {figure(metric.high)}"
        others = f"{figure(champion.get(metric.metric))} | {figure(baseline.value)}"
        yield f"| {metric.metric} | {figure(metric.value)} | {between} | {others} |"
    for note in evaluation.notes:
        yield ""
        yield f"> {words(note)}"
    if evaluation.groups:
        yield from render_groups(evaluation.groups)


def render_groups(groups: Iterable[GroupRates]) -> Iterator[str]:
    """Yield how the candidate decides on each slice as lines of Markdown."""
    yield ""
    yield "| answered positive | n | positive | of all | of the positive | of the others |"
    yield "|---|---|---|---|---|---|"
    for group in groups:
        rates = (group.selection, group.true_positive, group.false_positive)
        yield f"| {words(group.slice)} | {group.n} | {group.positives} | {' | '.join(map(_rate, rates))} |"


def _rate(rate: Rate) -> str:
    if math.isnan(rate.value):
        return "–"
    between = "" if math.isnan(rate.low) else f", {rate.low:.3f} to {rate.high:.3f}"
    return f"{rate.value:.3f}{between}"


def render_tuned(tuned: Iterable[TunedCandidate]) -> Iterator[str]:
    """Yield the values that were found for the candidates that were searched, as lines of Markdown."""
    for one in tuned:
        yield ""
        yield f"**{words(one.candidate)}** was tuned in {one.trials} trials ({one.method})."
        yield from (f"- {words(said)}" for said in one.reasons.values())
        yield ""
        yield f"| trial | {one.metric} | {' | '.join(words(name) for name in one.params)} |"
        yield "|---|---|" + "---|" * len(one.params)
        for trial in one.best:
            cells = (trial.params[name] for name in one.params)
            values = " | ".join(f"{cell:.4g}" if isinstance(cell, float) else words(str(cell)) for cell in cells)
            yield f"| {trial.number + 1} | {figure(trial.value)} | {values} |"


def render_selection(selection: Sequence[CandidateScore]) -> Iterator[str]:
    """Yield how the candidate was chosen as lines of Markdown; nothing where that is not known."""
    if not selection:
        return
    yield ""
    yield "| on the training rows | mean | standard error | why | beside the chosen |"
    yield "|---|---|---|---|---|"
    for score in selection:
        name = f"**{words(score.candidate)}**" if score.chosen else words(score.candidate)
        beside = words(score.difference.detail) if score.difference else ""
        yield f"| {name} | {figure(score.mean)} | {figure(score.standard_error)} | {words(score.reason)} | {beside} |"


def _publish(title: str, verdict: Verdict, evaluation: EvaluationReport, fit: FitReport | None = None) -> None:
    with publishing("the verdict"):
        lines = [*render_verdict(title, verdict), "", *render_figures(evaluation)]
        if fit is not None:
            lines += [*render_selection(fit.selection), *render_tuned(fit.tuned)]
        lines += _render_pictures(evaluation)
        passed = sum(check.status == "pass" for check in verdict.checks)
        told = f"Verdict on {title}: {verdict.decision}, {passed} of {len(verdict.checks)} checks passed."
        create_markdown_artifact("\n".join(lines), description=told)


def _render_pictures(evaluation: EvaluationReport) -> Iterator[str]:
    store = open_workspace().store
    for title, picture in evaluation.pictures.items():
        data = base64.b64encode(store.read(picture)).decode()
        yield ""
        yield f"![{title}](data:image/png;base64,{data})"


def _check_line(check: GateCheck) -> str:
    figures = [figure(check.candidate), figure(check.champion), figure(check.difference)]
    interval = "" if check.low is None or check.high is None else f"{figure(check.low)} to {figure(check.high)}"
    # A slice is named after the data's values.
    return f"| {MARKS[check.status]} | {words(check.name)} | {' | '.join(figures)} | {interval} | {check.n or ''} |"
