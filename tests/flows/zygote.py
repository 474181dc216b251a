"""A process that has imported everything and forks one real process for each run it is asked for.

Importing takes seconds and a run under one: tests that need many runs, each in a process that may be killed, ask here.
One JSON request a line on standard input; one JSON reply a line on standard output.
"""

import importlib
import json
import os
import sys
from typing import Any

IMPORTED_ONCE = (
    "great_expectations",
    "sklearn.linear_model",
    "sklearn.neighbors",
    "skops.io",
    "flows.retraining",
    "flows.cli.running",
    "tasks.evaluation.pictures",
    "tasks.release.page",
    "tasks.training.fitting",
    "tasks.validation.contract",
)


def main() -> None:
    for name in IMPORTED_ONCE:
        importlib.import_module(name)
    sys.stdout.write(json.dumps({"ready": True}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            run_child(request)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps({"pid": child, "exit": os.waitstatus_to_exitcode(status)}) + "\n")
        sys.stdout.flush()


def run_child(request: dict[str, Any]) -> None:
    """Become the process of one `keepfit` command and never return."""
    from flows.cli.main import app, fail
    from infra.errors import KeepfitError

    os.environ.update(request["environment"])
    sys.argv = ["keepfit", *request["arguments"]]
    with open(request["log"], "ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    code = 1
    try:
        app(request["arguments"])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except KeepfitError as error:
        code = fail(error.message, error.remedy, error.exit_code)
    except BaseException as error:  # noqa: BLE001 - the child's last word
        sys.stderr.write(repr(error))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
