"""The `keepfit` command: what an operator types. Each command's work is imported when it is called."""

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from flows.cli import export_command, label_commands, studying, watching
from flows.cli.options import AsJson, Project, Version, Why, parse_time
from infra.errors import KeepfitError

app = typer.Typer(
    name="keepfit",
    help="Keeps models fit: validates the data, retrains, lets a new model out only when a paired test says it may go, "
    "and can say of any version what produced it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

START, LOOK, ACT, STACK, SERVER = "Every day", "Look", "Operate", "Production stack on this machine", "Prefect server"

OF_THE_STACK = ("up", "down", "status", "logs")
"""Every other command uses the running stack of its KEEPFIT_HOME by itself."""


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and all log lines.")] = False,
) -> None:
    """Read the options that stand before the command."""
    if debug:
        os.environ["KEEPFIT_DEBUG"] = "1"
    if context.invoked_subcommand not in OF_THE_STACK and not {"-h", "--help"} & set(sys.argv):
        from flows.cli.adoption import adopt_stack

        adopt_stack()


@app.command(rich_help_panel=START)
def run(  # noqa: PLR0917 - typer reads options from the signature
    project: Project,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Data as known at this time (ISO 8601; UTC unless it says otherwise).")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the run.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge, but register and release nothing.")] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Exit with 4 unless a model was released, waits for approval, or nothing changed."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a candidate from today's data, judge it against the champion, and release it if it may go.

    Run it again after a crash or kill -9: it goes on after the last finished step. With unchanged data, code and spec
    it says so and changes nothing.
    """
    from flows.cli.running import run_project

    run_project(project, parse_time(as_of, "--as-of"), reason, dry_run=dry_run, strict=strict, as_json=as_json)


@app.command(rich_help_panel=START)
def predict(
    project: Project,
    file: Annotated[
        Path, typer.Argument(help="CSV or Parquet file with the project's feature columns.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write; default FILE.predictions.csv.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let the champion answer the rows of a file; each answer names the version that made it."""
    from flows.cli.predicting import predict_file

    predict_file(project, file, output, as_json=as_json)


app.command(rich_help_panel=START)(watching.score)
app.command(rich_help_panel=START)(watching.labels)
app.command(rich_help_panel=START)(watching.monitor)
app.command(rich_help_panel=START)(label_commands.label_queue)
app.command(rich_help_panel=LOOK)(label_commands.label_issues)
app.command(rich_help_panel=LOOK)(export_command.export)


@app.command(rich_help_panel=START)
def projects(as_json: AsJson = False) -> None:
    """List the projects, each with its champion."""
    from flows.cli.looking import list_all

    list_all(as_json=as_json)


@app.command(rich_help_panel=START)
def check(project: Project, as_json: AsJson = False) -> None:
    """Tell whether a project is sound: its spec, its source, and a model on a few rows, saved and loaded again."""
    from flows.cli.checking import check_project

    check_project(project, as_json=as_json)


@app.command(rich_help_panel=START)
def new(name: Annotated[str, typer.Argument(help="Name of the new project.", show_default=False)]) -> None:
    """Make a new project folder that works at once, commented where you decide."""
    from flows.cli.checking import new_project

    new_project(name)


@app.command(rich_help_panel=LOOK)
def show(
    version: Version,
    page: Annotated[Path | None, typer.Option("--page", help="Write the report as an HTML file here.")] = None,
    events: Annotated[
        Path | None, typer.Option("--events", help="Write the epochs of its networks here, a folder for TensorBoard.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show one version: its verdict, every gate, its figures."""
    from flows.cli.looking import show_version

    show_version(version, page, events, as_json=as_json)


@app.command(rich_help_panel=LOOK)
def history(
    project: Project,
    at: Annotated[
        str | None,
        typer.Option("--at", help="Only who was champion at this time (ISO 8601; UTC unless it says otherwise)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show who was champion from when to when, and why."""
    from flows.cli.looking import show_history

    show_history(project, parse_time(at, "--at"), as_json=as_json)


@app.command(rich_help_panel=LOOK)
def lineage(version: Version, as_json: AsJson = False) -> None:
    """Show what produced a version, down to digests: snapshot, code, lock, seeds, libraries, hardware."""
    from flows.cli.looking import show_lineage

    show_lineage(version, as_json=as_json)


app.command(rich_help_panel=LOOK)(studying.study)
app.command(rich_help_panel=LOOK)(watching.trace)
app.command(rich_help_panel=LOOK)(watching.replay)
app.command(rich_help_panel=ACT)(watching.breaker)


@app.command(rich_help_panel=ACT)
def approve(
    run: Annotated[
        str, typer.Argument(help="The version that waits (iris@7), or the run that asks for it.", show_default=False)
    ],
    why: Why,
    refuse: Annotated[bool, typer.Option("--refuse", help="Do not release it, and do not propose it again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a version go that waits for a person (release.approval: operator), or refuse it."""
    from flows.cli.approving import decide

    decide(run, why, refuse=refuse, as_json=as_json)


@app.command(rich_help_panel=ACT)
def promote(version: Version, why: Why, as_json: AsJson = False) -> None:
    """Make a version champion by hand."""
    from flows.cli.operating import promote_version

    promote_version(version, why, as_json=as_json)


@app.command(rich_help_panel=ACT)
def rollback(project: Project, why: Why, as_json: AsJson = False) -> None:
    """Go back to the champion before the present one. Takes seconds; trains nothing."""
    from flows.cli.operating import rollback_project

    rollback_project(project, why, as_json=as_json)


@app.command(rich_help_panel=ACT)
def rerun(version: Version, as_json: AsJson = False) -> None:
    """Train a version again from its recorded snapshot, spec and seeds, and compare the model digests."""
    from flows.cli.rerunning import rerun_version

    rerun_version(version, as_json=as_json)


@app.command(rich_help_panel=SERVER)
def deploy(
    cpu_slots: Annotated[
        int | None,
        typer.Option(
            "--cpu-slots", min=1, help="Runs at once on CPUs; default as it is, 2 at first.", show_default=False
        ),
    ] = None,
    gpu_slots: Annotated[
        int | None,
        typer.Option(
            "--gpu-slots", min=1, help="Runs at once on GPUs; default as it is, 1 at first.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring prefect.yaml to the Prefect server: pools, queues, deployments, automations. What is paused stays paused."""
    from flows.cli.deployments import deploy_checkout

    deploy_checkout(cpu_slots, gpu_slots, as_json=as_json)


@app.command(rich_help_panel=SERVER)
def trigger(  # noqa: PLR0917 - typer reads options from the signature
    project: Project,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Data as known at this time (ISO 8601; UTC unless it says otherwise).")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the run.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge, but register and release nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show the steps, and end as `keepfit run` ends.")] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="With --wait: exit with 4 unless a model was released, waits for approval, or nothing changed.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start a project's retraining on the workers of the Prefect server. Ctrl-C stops the waiting only."""
    from flows.cli.triggering import trigger_project

    when = parse_time(as_of, "--as-of")
    trigger_project(project, when, reason, dry_run=dry_run, wait=wait, strict=strict, as_json=as_json)


@app.command(rich_help_panel=SERVER)
def pause(project: Project, as_json: AsJson = False) -> None:
    """Stop a project's schedule; runs by hand go on."""
    from flows.cli.deployments import switch_schedules

    switch_schedules(project, active=False, as_json=as_json)


@app.command(rich_help_panel=SERVER)
def resume(project: Project, as_json: AsJson = False) -> None:
    """Start a project's schedule again, and say when it runs next."""
    from flows.cli.deployments import switch_schedules

    switch_schedules(project, active=True, as_json=as_json)


@app.command(rich_help_panel=ACT)
def sweep(as_json: AsJson = False) -> None:
    """End what died without a word, and delete what nothing names. Deployed, it runs by itself every ten minutes."""
    from flows.cli.deployments import sweep_here

    sweep_here(as_json=as_json)


@app.command(rich_help_panel=ACT)
def doctor(as_json: AsJson = False) -> None:
    """Check versions, settings, store and database; each fault with its remedy."""
    from flows.cli.doctor import examine

    examine(as_json=as_json)


@app.command(rich_help_panel=STACK)
def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when everything is ready.")] = False,
    gpu_workers: Annotated[
        int | None, typer.Option("--gpu-workers", help="Workers for gpu-pool; default one a GPU.", show_default=False)
    ] = None,
    cpu_workers: Annotated[
        int | None, typer.Option("--cpu-workers", help="Workers for cpu-pool; default 1.", show_default=False)
    ] = None,
    new_ports: Annotated[bool, typer.Option("--new-ports", help="Choose other ports than last time.")] = False,
) -> None:
    """Start PostgreSQL, an S3 server, Prefect's server with its UI and workers, and deploy prefect.yaml.

    Stays until Ctrl-C, which stops all of it. Run it again after anything died: it starts what is missing.
    """
    from flows.cli.stack import start
    from infra.stack.planning import Wishes

    start(Wishes(cpu_workers, gpu_workers, new_ports), detach=detach)


@app.command(rich_help_panel=STACK)
def down(
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Delete databases, artifacts, logs and credentials as well.")
    ] = False,
) -> None:
    """Stop the stack in order; its data stays."""
    from flows.cli.stack import stop as stop_stack

    stop_stack(delete=delete_data)


@app.command(rich_help_panel=STACK)
def status(as_json: AsJson = False) -> None:
    """Show each program of the stack; exit code 0 only when all of them run."""
    from flows.cli.stack import show_status

    show_status(as_json=as_json)


@app.command(rich_help_panel=STACK)
def logs(
    name: Annotated[str, typer.Argument(help="A program, as `keepfit status` names it.", show_default=False)],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    lines: Annotated[int, typer.Option("-n", min=0, help="How many lines from the end.")] = 50,
) -> None:
    """Show the log of a program."""
    from flows.cli.stack import show_logs

    show_logs(name, lines=lines, keep_following=follow)


class Stopped(BaseException):
    """Somebody wants this process to end; no handler of ordinary errors may take it for one."""


def stop(number: int, _frame: FrameType | None) -> None:
    """Unwind what runs, so that it ends in the ledger; a second signal ends the process at once."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    raise Stopped(number)


def main() -> None:
    """Run the command; end with one clear message where it fails."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stop)
    try:
        app()
    except Stopped as stopped:
        number = signal.Signals(stopped.args[0])
        sys.exit(
            fail(
                f"Stopped by {number.name}.",
                "The same command again goes on after the last finished step.",
                128 + number,
            )
        )
    except KeepfitError as error:
        sys.exit(fail(error.message, error.remedy, error.exit_code))
    except Exception as error:  # noqa: BLE001 - the outermost hook: whatever is left is shown as one message
        sys.exit(fail(f"{type(error).__name__}: {error}", "`keepfit --debug …` shows the traceback.", 1))


def fail(message: str, remedy: str, code: int) -> int:
    """Print one message, with the traceback where --debug asks for it, and return the exit code."""
    if os.environ.get("KEEPFIT_DEBUG"):
        traceback.print_exc()
    if "--json" in sys.argv:
        print(json.dumps({"error": message, "remedy": remedy, "exit_code": code}))
    sys.stderr.write(f"keepfit: {message}\n" + (f"         {remedy}\n" if remedy else ""))
    return code


if __name__ == "__main__":
    main()
