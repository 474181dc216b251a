"""Functions called in forks of the zygote, several at the same moment: each in a real process that is ready in milliseconds.

For what no command does: a flow as an automation starts it, many copies of it, one that another one waits for.
"""

import importlib
import json
import os
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.flows.conftest import Place


def call(place: "Place", function: Callable[..., Any], *calls: Sequence[object]) -> list[Any]:
    """Return what the function answered to each of these arguments, all called at once, each in a process of its own.

    Parameters
    ----------
    function
        Of a module that can be imported; takes and returns JSON.
    """
    answers = place.home / "crowd"
    answers.mkdir(exist_ok=True)
    base = {"KEEPFIT_HOME": str(place.home), "KEEPFIT_ACTOR": "tester"}
    base |= {"KEEPFIT_DATABASE_URL": place.database, "KEEPFIT_STORE_URL": place.store, **place.environment}
    request = {"function": f"{function.__module__}:{function.__qualname__}", "calls": calls}
    request |= {"environment": base, "answers": str(answers)}
    assert place.zygote.process.stdin is not None
    place.zygote.process.stdin.write(json.dumps(request) + "\n")
    place.zygote.process.stdin.flush()
    place.zygote._reply()
    answered = []
    for number in range(len(calls)):
        path = answers / f"{number}.json"
        assert path.exists(), f"call {number} died: {(answers / f'{number}.log').read_text()[-2000:]}"
        answered.append(json.loads(path.read_text()))
        path.unlink()
    return answered


def answer_at_once(request: dict[str, Any], prepare: Callable[[], None]) -> None:
    """Fork a process for each call, let all begin at the same moment, and wait for all of them."""
    hold, let_go = os.pipe()
    children = []
    for number, arguments in enumerate(request["calls"]):
        child = os.fork()
        if child == 0:
            os.close(let_go)
            _answer_one(request, number, arguments, hold, prepare)
        children.append(child)
    os.close(hold)
    os.close(let_go)  # the last one: now all of them read the end of the pipe
    for child in children:
        os.waitpid(child, 0)


def _answer_one(
    request: dict[str, Any], number: int, arguments: Sequence[Any], hold: int, prepare: Callable[[], None]
) -> None:
    """Become the process of one call and never return."""
    os.environ.update(request["environment"])
    place = Path(request["answers"])
    with open(place / f"{number}.log", "wb", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    code = 1
    try:
        prepare()
        module, _, name = request["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        os.read(hold, 1)
        whole = json.dumps(function(*arguments))
        (place / f"{number}.part").write_text(whole)
        (place / f"{number}.part").rename(place / f"{number}.json")
        code = 0
    except BaseException:  # noqa: BLE001 - the child's last word
        os.write(2, traceback.format_exc().encode())
    os._exit(code)
