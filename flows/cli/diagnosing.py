"""What `keepfit study` does and prints: the diagnoses, then the figures that they rest on."""

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from flows.cli.progress import showing_progress
from flows.cli.render import console, rows_table, save_report
from flows.cli.server import naming_silent_server, prefect_server
from infra.errors import UsageError, name_values
from infra.importing import importing
from infra.settings import load_settings
from infra.suggestion import suggest
from infra.workspace import open_workspace
from tasks.contracts.project import ProjectSpec
from tasks.contracts.study_report import CandidateStudy, Diagnosis
from tasks.project import load_project

STYLES = {"as good as these data allow": "green", "over-fitted": "red", "under-fitted": "red"}


def study_project(project: str, candidates: Sequence[str], as_of: datetime | None, *, as_json: bool) -> None:
    """Run the flow and print what it found.

    Raises
    ------
    UsageError
        A candidate is not there.
    """
    require_candidates(load_project(load_settings().projects, project).spec, candidates)
    with showing_progress(quiet=as_json), prefect_server() as server:
        with importing():
            from flows.studying import study

        server.wait()
        with naming_silent_server():
            report = CandidateStudy.model_validate(study(project=project, candidates=tuple(candidates), as_of=as_of))
    if as_json:
        print(report.model_dump_json(indent=2))
    else:
        print_study(report)


def require_candidates(spec: ProjectSpec, wanted: Sequence[str]) -> None:
    """Refuse a candidate that is not there, before anything is started."""
    for name in wanted:
        if name not in spec.candidates:
            raise UsageError(
                f"--candidate: expected one of {name_values(spec.candidates)}, received {name!r}."
                f"{suggest(name, spec.candidates)}"
            )


def print_study(report: CandidateStudy) -> None:
    """Print the diagnosis of each candidate, the table of all, and what was seen besides."""
    console.print()
    console.print(
        Text.assemble((f"{report.project}", "bold"), f"  {report.parted}; no test row was read"), soft_wrap=True
    )
    for diagnosis in report.diagnoses:
        _print_diagnosis(diagnosis)
    columns = ("candidate", report.metric, "own rows", f"to {report.best}", "interval", "p", "told apart")
    console.print(rows_table(columns, [_row(one) for one in report.diagnoses]))
    console.print(
        f"  Scores ± corrected standard error; the dummy has {report.dummy:.4f}; differences matter from {report.matters:.2g} on. "
        "p and interval hold for all pairs together.",
        soft_wrap=True,
    )
    for name, said in _further(report):
        console.print(f"  {name:<9} {said}", soft_wrap=True)
    if report.page is not None:
        page = save_report(f"{report.project}-study", open_workspace().store.read(report.page))
        console.print(f"  page      {page}   curves, pictures, every figure", soft_wrap=True)
    console.print()


def _print_diagnosis(diagnosis: Diagnosis) -> None:
    style = STYLES.get(diagnosis.findings[0], "yellow")
    console.print()
    console.print(Text.assemble((diagnosis.candidate, "bold"), "  ", (", ".join(diagnosis.findings), f"bold {style}")))
    for reason in diagnosis.reasons:
        console.print(f"  {reason}", soft_wrap=True)
    console.print(f"  next      {diagnosis.next_step}", soft_wrap=True)


def _row(diagnosis: Diagnosis) -> tuple[str, ...]:
    score, own = f"{diagnosis.mean:.3f} ± {diagnosis.error:.3f}", f"{diagnosis.training_mean:.3f}"
    seen = diagnosis.difference
    if seen is None:
        return (diagnosis.candidate, score, own, "", "", "", "")
    difference, between = f"{seen.difference:+.3f}", f"[{seen.low:+.3f}, {seen.high:+.3f}]"
    told = "yes" if seen.told_apart else "no"
    return (diagnosis.candidate, score, own, difference, between, f"{seen.p_value:.2g}", told)


def _further(report: CandidateStudy) -> list[tuple[str, str]]:
    said = [("luck", f"{luck.candidate}: {luck.detail}") for luck in report.luck]
    if report.validation_curve is not None:
        said.append(("parameter", f"{report.validation_curve.candidate}: {report.validation_curve.detail}"))
    if report.nested is not None:
        said.append(("nested", report.nested.detail))
    return said
