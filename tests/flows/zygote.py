"""A process that has imported everything and forks one real process for each run it is asked for.

Importing takes seconds and a run under one: tests that need many runs, each in a process that may be killed, ask here.
One JSON request a line on standard input; one JSON reply a line on standard output. It has one thread when it forks.
"""

import importlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.flows.crowd import answer_at_once

IMPORTED_ONCE = (
    "alembic.command",
    "fastapi.encoders",
    "great_expectations",
    "mako.template",
    "prefect.client.orchestration",
    "prefect.events.worker",
    "prefect.flow_engine",
    "prefect.runtime.flow_run",
    "prefect.task_engine",
    "PIL.PngImagePlugin",
    "pyarrow.parquet",
    "sklearn.linear_model",
    "sklearn.neighbors",
    "skops.io",
    "sqlalchemy.dialects.sqlite",
    "typer.rich_utils",
    "flows.retraining",
    "flows.cli.main",
    "flows.cli.running",
    "flows.cli.scoring",
    "flows.cli.tracing",
    "tasks.evaluation.pictures",
    "tasks.models.loading",
    "tasks.models.saving",
    "tasks.release.page",
    "tasks.training.fitting",
    "tasks.validation.batches",
    "tasks.validation.contract",
    "tasks.validation.labels",
)


def main() -> None:
    for name in IMPORTED_ONCE:
        importlib.import_module(name)
    # A fork copies one thread: a second one could hold a lock for ever in the child (and Python 3.12 warns of it).
    threads = len(os.listdir("/proc/self/task")) if Path("/proc/self/task").exists() else 1
    say({"ready": True, "threads": threads})
    for line in sys.stdin:
        request = json.loads(line)
        if "function" in request:
            answer_at_once(request, fork_scoring)
            say({})
            continue
        child = os.fork()
        if child == 0:
            run_child(request)
        _, status = os.waitpid(child, 0)
        say({"pid": child, "exit": os.waitstatus_to_exitcode(status)})


def say(reply: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


def run_child(request: dict[str, Any]) -> None:
    """Become the process of one `keepfit` command and never return."""
    from flows.cli.main import main

    os.environ.update(request["environment"])
    sys.argv = ["keepfit", *request["arguments"]]
    with open(request["log"], "ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if request["forked_scoring"]:
        fork_scoring()
    if request["operator_moves"]:
        let_an_operator_promote(request["operator_moves"])
    code = 1
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    except BaseException as error:  # noqa: BLE001 - the child's last word
        sys.stderr.write(repr(error))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def fork_scoring() -> None:
    """Let models answer in a fork of the zygote, which never trained, instead of in a new interpreter.

    It is forked now, while there is one thread, and ends when the command does: nobody holds its pipe any more.
    """
    from tasks.scoring import fresh

    (questions, ask), (hear, answers) = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.close(ask)
        os.close(hear)
        with open(questions, encoding="utf-8") as lines, open(answers, "w", encoding="utf-8", buffering=1) as replies:
            for line in lines:
                replies.write(json.dumps(_answer(line)) + "\n")
        os._exit(0)
    os.close(questions)
    os.close(answers)
    asking, hearing = open(ask, "w", encoding="utf-8", buffering=1), open(hear, encoding="utf-8")  # noqa: SIM115

    class Forked(fresh.FreshProcess):
        def __init__(self) -> None:
            """Start nothing."""

        def ask(self, request: fresh.Request) -> fresh.Reply:
            asking.write(request.model_dump_json() + "\n")
            reply = json.loads(hearing.readline())
            if "error" in reply:
                raise fresh.IntegrityError(reply["error"])
            return fresh.Reply.model_validate(reply)

        def stop(self) -> None:
            """Leave it to the end of the command."""

    fresh.FreshProcess = Forked  # type: ignore[misc]


def let_an_operator_promote(times: int) -> None:
    """Let somebody promote another version just before the run releases its own, as often as said."""
    from infra.registry.registry import Registry

    release = Registry.release
    left = list(range(times))

    def release_second(registry: Registry, **request: Any) -> Any:
        if request["fencing"] is not None and left:
            left.pop()
            champion = registry.champion(request["project"])
            other = {1: 2, 2: 1}[champion.version or 0]
            by_hand = {"number": other, "expected_seq": champion.seq, "why": "meanwhile", "actor": "operator"}
            release(registry, **{**request, **by_hand, "fencing": None, "evidence": {}})
        return release(registry, **request)

    Registry.release = release_second  # type: ignore[method-assign,assignment]


def _answer(line: str) -> dict[str, Any]:
    from infra.errors import KeepfitError
    from tasks.scoring import fresh

    settings = fresh.load_settings()
    try:
        with tempfile.TemporaryDirectory(prefix="keepfit-fresh-") as scratch:
            store = fresh.open_store(settings.store, settings.store_deadline_s)
            return fresh.answer(fresh.Request.model_validate_json(line), store, Path(scratch)).model_dump(mode="json")
    except KeepfitError as error:
        return {"error": error.message}


if __name__ == "__main__":
    main()
