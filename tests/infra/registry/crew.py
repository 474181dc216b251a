"""Processes that are started once and then run one function at the same time, as often as a test wants."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from types import TracebackType
from typing import Any, Self

ANSWER_TIMEOUT_S = 120


class Crew:
    def __init__(self, size: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.size = size
        self._barrier = context.Barrier(size, timeout=60)
        self._ends: list[Connection] = []
        self._processes = []
        for index in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, index, self._barrier), daemon=True)
            process.start()
            theirs.close()
            self._ends.append(ours)
            self._processes.append(process)

    def run(self, function: Callable[..., Any], *arguments: object) -> list[Any]:
        """Return what each process answered to function(index, barrier, *arguments)."""
        self._barrier.reset()
        for end in self._ends:
            end.send((function, arguments))
        answers = []
        for end in self._ends:
            assert end.poll(ANSWER_TIMEOUT_S), "a process of the crew does not answer"
            answers.append(end.recv())
        failures = [answer for answer in answers if isinstance(answer, Exception)]
        if failures:
            raise next((one for one in failures if not isinstance(one, BrokenBarrierError)), failures[0])
        return answers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in self._ends:
            end.close()
        for process in self._processes:
            process.join(timeout=10)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()


def _work(end: Connection, index: int, barrier: Barrier) -> None:
    while True:
        try:
            function, arguments = end.recv()
        except EOFError:
            return
        try:
            end.send(function(index, barrier, *arguments))
        except Exception as error:  # noqa: BLE001  # the test's process raises it again
            barrier.abort()  # or the others would wait for this one
            end.send(error)
