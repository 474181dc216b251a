"""What the supervisor starts in place of a program: it becomes that program, with its secrets in its environment.

So no secret stands in the supervisor's configuration or on a command line.
"""

import os
import pwd
import signal
import sys
from pathlib import Path

from infra.stack.program import MARKER, Program, complete_environment
from infra.stack.programs import list_programs
from infra.stack.state import load_state

PRIVATE_UMASK = 0o077


def launch(name: str) -> None:
    """Become the program of this name.

    Raises
    ------
    SystemExit
        There is no such stack or program.
    """
    state = load_state(Path(os.environ[MARKER]))
    programs = {program.name: program for program in list_programs(state)} if state else {}
    if name not in programs:
        sys.exit(f"no program {name!r} in the stack {os.environ[MARKER]}")
    become(programs[name])


def become(program: Program) -> None:
    """Replace this process by the program, under its account."""
    environment = complete_environment(program)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where a shell ran `keepfit up &`; a worker needs it to stop
    os.umask(PRIVATE_UMASK)
    os.chdir(program.folder)
    if program.account is not None:
        _take_account(program.account)
    os.execve(program.command[0], program.command, environment)  # noqa: S606 - no shell is wanted


def _take_account(account: str) -> None:
    entry = pwd.getpwnam(account)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


if __name__ == "__main__":
    launch(sys.argv[1])
