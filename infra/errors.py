"""Every error that keepfit raises on purpose, drawn as one tree.

KeepfitError                      exit 1
├── UsageError                    exit 2   a command or an argument that cannot be meant
│   ├── SettingsError                      a KEEPFIT_… variable is wrong
│   └── SpecError                          a project.yaml is wrong
├── DataError                     exit 3   the data, not the program
│   ├── SourceError                        the source cannot be read
│   │   └── SourceUnavailable     retryable
│   ├── ContractBroken                     rows break the project's contract
│   ├── LeakFound                          a feature or a row that was not known when it is said to have been
│   └── InsufficientData                   too few rows, one class, nothing to measure
├── GateRefused                   exit 4   HOLD or REJECT, where the caller asked with --strict
├── CheckCrashed                           a validation check failed to run (says nothing of the data)
├── HeldBack                               a brake of the loop is on: cooldown, cap a day, breaker
├── TrainingFailed                         no usable model came out (NaN loss, diverged)
│   └── MemoryRanOut                       it did not fit into memory
├── DispatchFailed                         work sent to a pool did not come back
│   └── NoWorker                           nobody serves the pool
├── OrchestratorUnavailable       retryable   the Prefect server does not answer
├── IntegrityError                         bytes differ from their digest, or a format that is never opened
│   └── UnsafeArtifact
├── StoreError                             the object store
│   ├── StoreUnavailable          retryable
│   ├── StoreRefused                       credentials, permissions, an unsafe server
│   └── BlobNotFound
└── RegistryError                          the database
    ├── RegistryUnavailable       retryable
    ├── Conflict                           somebody else moved the champion first
    ├── DuplicateTrigger                   an effective run with this trigger key exists
    ├── LeaseHeld                          another run of this project is in flight
    └── LeaseLost                          this run was fenced off: its lease went to another

A message says what was expected, what was received, where, and what to do.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import ClassVar


class KeepfitError(Exception):
    """Base of all; `remedy` is the next step for the person who reads it."""

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.remedy))


def _rebuild(kind: type[KeepfitError], message: str, remedy: str) -> KeepfitError:
    return kind(message, remedy=remedy)


class UsageError(KeepfitError):
    exit_code = 2


class SettingsError(UsageError):
    pass


class SpecError(UsageError):
    pass


class DataError(KeepfitError):
    exit_code = 3


class SourceError(DataError):
    pass


class SourceUnavailable(SourceError):
    retryable = True


class ContractBroken(DataError):
    pass


class LeakFound(DataError):
    pass


class InsufficientData(DataError):
    pass


class GateRefused(KeepfitError):
    exit_code = 4


class CheckCrashed(KeepfitError):
    pass


class HeldBack(KeepfitError):
    pass


class TrainingFailed(KeepfitError):
    pass


class MemoryRanOut(TrainingFailed):
    pass


class DispatchFailed(KeepfitError):
    pass


class NoWorker(DispatchFailed):
    pass


class OrchestratorUnavailable(KeepfitError):
    retryable = True


class IntegrityError(KeepfitError):
    pass


class UnsafeArtifact(IntegrityError):
    pass


class StoreError(KeepfitError):
    pass


class StoreUnavailable(StoreError):
    retryable = True


class StoreRefused(StoreError):
    pass


class BlobNotFound(StoreError):
    pass


class RegistryError(KeepfitError):
    pass


class RegistryUnavailable(RegistryError):
    retryable = True


class Conflict(RegistryError):
    pass


class DuplicateTrigger(RegistryError):
    """Carries the id of the run that this trigger started already."""

    def __init__(self, message: str, *, remedy: str = "", run_id: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.run_id = run_id

    def __reduce__(self) -> tuple[object, ...]:
        return (partial(type(self), run_id=self.run_id, remedy=self.remedy), (self.message,))


class LeaseHeld(RegistryError):
    pass


class LeaseLost(RegistryError):
    pass


def error_named(name: str, message: str, *, remedy: str = "") -> KeepfitError | None:
    """Return the error of this tree with this class name, as another process told of it; None for any other name."""
    for kind in _below(KeepfitError):
        if kind.__name__ == name:
            return kind(message, remedy=remedy)
    return None


def _below(kind: type[KeepfitError]) -> Iterator[type[KeepfitError]]:
    yield kind
    for part in kind.__subclasses__():
        yield from _below(part)


def name_values(values: Iterable[object], limit: int = 5) -> str:
    """Return the first `limit` values for a message, then how many more there are.

    >>> name_values(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    listed = list(values)
    text = ", ".join(repr(value) for value in listed[:limit])
    rest = len(listed) - limit
    return f"{text} and {rest} more" if rest > 0 else text
