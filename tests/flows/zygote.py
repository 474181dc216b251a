"""A process that has imported everything and forks one real process for each run it is asked for.

Importing takes seconds and a run under one: tests that need many runs, each in a process that may be killed, ask here.
One JSON request a line on standard input; one JSON reply a line on standard output. It has one thread when it forks.
"""

import gc
import importlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows.cli.server import keep_no_heartbeats
from tests.flows.crowd import answer_at_once

IMPORTED_ONCE = (
    "alembic.command",
    "alembic.config",
    "anyio._backends._asyncio",
    "fastapi.encoders",
    "graphviz",
    "great_expectations",
    "mako.template",
    "pandas.api.internals",
    "PIL.BmpImagePlugin",
    "PIL.GifImagePlugin",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "PIL.PpmImagePlugin",
    "prefect.client.orchestration",
    "prefect.events.worker",
    "prefect.flow_engine",
    "prefect.runtime.flow_run",
    "prefect.task_engine",
    "prefect.utilities.visualization",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "sklearn.linear_model",
    "sklearn.neighbors",
    "skops.io",
    "sqlalchemy.dialects.sqlite",
    "typer.rich_utils",
    "flows.cli.adoption",
    "flows.cli.main",
    "flows.cli.running",
    "flows.cli.scoring",
    "flows.cli.tracing",
    "flows.retraining",
    "flows.studying",
    "infra.sources.csv_files",
    "infra.sources.parquet_files",
    "infra.sources.sql",
    "tasks.evaluation.advice",
    "tasks.evaluation.gate",
    "tasks.evaluation.pictures",
    "tasks.ingestion.reading",
    "tasks.ingestion.windows",
    "tasks.models.loading",
    "tasks.models.saving",
    "tasks.preparation.overlap",
    "tasks.preparation.splitting",
    "tasks.release.page",
    "tasks.training.fitting",
    "tasks.training.study.measurement",
    "tasks.training.study.page",
    "tasks.training.study.pictures",
    "tasks.validation.batches",
    "tasks.validation.contract",
    "tasks.validation.labels",
    "tasks.validation.page",
    "tasks.validation.profile",
)

SESSION_URL = os.environ.get("PREFECT_API_URL", "")


def main() -> None:
    for name in (*IMPORTED_ONCE, *sys.argv[1:]):
        importlib.import_module(name)
    keep_no_heartbeats()  # the session's server stands for the one that a command has for itself
    gc.collect()
    gc.freeze()  # a child that looks for garbage leaves these alone: it would copy every page of them
    # A fork copies one thread: a second one could hold a lock for ever in the child (and Python 3.12 warns of it).
    threads = len(os.listdir("/proc/self/task")) if Path("/proc/self/task").exists() else 1
    say({"ready": True, "threads": threads})
    for line in sys.stdin:
        request = json.loads(line)
        if "answer" in request:
            say(answer_in_fork(request["answer"]))
            continue
        if "function" in request:
            answer_at_once(request, fork_scoring)
            say({})
            continue
        child = os.fork()
        if child == 0:
            run_child(request)
        _, status = os.waitpid(child, 0)
        say({"pid": child, "exit": os.waitstatus_to_exitcode(status)})


def answer_in_fork(question: dict[str, Any]) -> dict[str, Any]:
    """Return what models answer in a child, which never trained."""
    hear, tell = os.pipe()
    if (child := os.fork()) == 0:
        with open(tell, "w", encoding="utf-8") as reply:
            json.dump(_answer(**question), reply)
        os._exit(0)
    os.close(tell)
    with open(hear, encoding="utf-8") as said:
        reply = json.load(said)
    os.waitpid(child, 0)
    return dict(reply)


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
    use_the_sessions_server()
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


def use_the_sessions_server() -> None:
    """Start no server for a command that wants one of its own: Prefect is imported and stays with the session's."""
    from flows.cli import server

    class Session(server.GivenServer):
        def __init__(self, _home: Path) -> None:
            self.url = SESSION_URL

        def stop(self) -> None:
            """Leave it to the session."""

    server.OwnServer = Session  # type: ignore[assignment,misc]


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
                replies.write(json.dumps(_answer(**json.loads(line))) + "\n")
        os._exit(0)
    os.close(questions)
    os.close(answers)
    asking, hearing = open(ask, "w", encoding="utf-8", buffering=1), open(hear, encoding="utf-8")  # noqa: SIM115

    def exchange(question: dict[str, Any]) -> dict[str, Any]:
        asking.write(json.dumps(question) + "\n")
        return json.loads(hearing.readline())

    fresh.FreshProcess = answering_with(exchange)  # type: ignore[misc]


def answering_with(exchange: Callable[[dict[str, Any]], dict[str, Any]]) -> type:
    """Return a class in the place of `FreshProcess` whose questions a fork of the zygote answers."""
    from tasks.scoring import fresh

    class Forked(fresh.FreshProcess):
        def __init__(self) -> None:
            """Start nothing."""

        def ask(self, request: fresh.Request) -> fresh.Reply:
            # A replay works in another home than the one that the command came with.
            here = {name: value for name, value in os.environ.items() if name.startswith("KEEPFIT_")}
            reply = exchange({"request": request.model_dump_json(), "environment": here})
            if "error" in reply:
                raise fresh.IntegrityError(reply["error"])
            return fresh.Reply.model_validate(reply)

        def stop(self) -> None:
            """Leave it to the end of the command."""

    return Forked


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


def _answer(request: str, environment: dict[str, str]) -> dict[str, Any]:
    from infra.errors import KeepfitError
    from tasks.scoring import fresh

    for name in [name for name in os.environ if name.startswith("KEEPFIT_")]:
        del os.environ[name]
    os.environ.update(environment)
    fresh.load_settings.cache_clear()
    settings = fresh.load_settings()
    try:
        with tempfile.TemporaryDirectory(prefix="keepfit-fresh-") as scratch:
            store = fresh.open_store(settings.store, settings.store_deadline_s)
            return fresh.answer(fresh.Request.model_validate_json(request), store, Path(scratch)).model_dump(
                mode="json"
            )
    except KeepfitError as error:
        return {"error": error.message}


if __name__ == "__main__":
    main()
