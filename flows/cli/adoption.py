"""Commands use the stack of their KEEPFIT_HOME by themselves while it runs."""

import os
import sys
from typing import Final

from flows.cli.server import spare_loopback
from infra.settings import load_settings
from infra.stack.state import STATE_FILE, enter_environment, stack_folder

ELSEWHERE: Final = ("KEEPFIT_STORE_URL", "KEEPFIT_DATABASE_URL", "PREFECT_API_URL")
"""Whoever sets one of these says where the command shall go."""

DIM, PLAIN = "\033[2m", "\033[0m"


def adopt_stack() -> None:
    """Let this process use the running stack, and say so on standard error; nothing where none runs."""
    home = load_settings().home
    if any(os.environ.get(name) for name in ELSEWHERE) or not (stack_folder(home) / STATE_FILE).exists():
        return
    from infra.stack.state import read_state
    from infra.stack.supervision import answers

    state = read_state(home)
    if state is None or not answers(state):
        return
    enter_environment(state)
    spare_loopback()
    load_settings.cache_clear()
    line = f"on the stack in {state.folder}"
    sys.stderr.write(f"{DIM}{line}{PLAIN}\n" if sys.stderr.isatty() else f"{line}\n")
