"""What a person sees while a run is going on: one line a step, and what it is doing now."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status
from rich.text import Text

LOGGERS = ("flows", "tasks", "infra")


class StepLines(logging.Handler):
    """Turns the log records of steps into lines, and every other record into the text beside the spinner."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self.console = console
        self.status = Status("working …", console=console)
        self.said: str = ""

    def emit(self, record: logging.LogRecord) -> None:
        phase = getattr(record, "phase", None)
        if phase == "start":
            self.said = ""
            self._tell(f"{record.step} …")  # type: ignore[attr-defined]  # given by tasks.policies
        elif phase == "end":
            self._finish(record.step, record.seconds, found=record.found)  # type: ignore[attr-defined]
        elif record.levelno >= logging.WARNING:
            self.console.print(Text(f"  ! {record.getMessage()}", style="yellow"), soft_wrap=True)
        else:
            self.said = record.getMessage()
            self._tell(self.said)

    def _tell(self, text: str) -> None:
        if self.console.is_terminal:
            self.status.update(text)
            self.status.start()

    def _finish(self, step: str, seconds: float, *, found: bool) -> None:
        self.status.stop()
        line = Text.assemble(("  ✓ ", "green"), f"{step:<9}", (f"{seconds:6.1f} s  ", "dim"))
        line.append("as before" if found else self.said)
        self.console.print(line, soft_wrap=True)


@contextmanager
def showing_progress(*, quiet: bool) -> Iterator[None]:
    """Show the steps of what runs inside, on standard error so that standard output stays the answer's."""
    handler = StepLines(Console(stderr=True, quiet=quiet))
    roots = [logging.getLogger(name) for name in LOGGERS]
    for root in roots:
        root.setLevel(logging.INFO)
        root.addHandler(handler)
    try:
        handler._tell("working …")
        yield
    finally:
        handler.status.stop()
        for root in roots:
            root.removeHandler(handler)
