"""`keepfit promote` and `keepfit rollback`: the champion moved by hand, through the same transaction and history."""

from flows.cli.render import console
from infra.actor import actor_name
from tasks.release.moves import Move, promote_by_hand, roll_back


def promote_version(label: str, why: str, *, as_json: bool) -> None:
    """Make the version champion, whatever the gate said of it.

    Raises
    ------
    UsageError
        The reason is empty, or the version is champion already.
    """
    _print(promote_by_hand(label, why, actor_name()), as_json=as_json)


def rollback_project(project: str, why: str, *, as_json: bool) -> None:
    """Make the champion before the present one champion again.

    Raises
    ------
    UsageError
        There is no version to go back to.
    """
    _print(roll_back(project, why, actor_name()), as_json=as_json)


def _print(move: Move, *, as_json: bool) -> None:
    version = move.version
    if as_json:
        print(move.release.model_dump_json(indent=2))
        return
    console.print(str(move))
    if version.decision != "PROMOTE":
        console.print(f"  gate      said {version.decision} of it: keepfit show {version.label}")
    console.print(f"  evidence  keepfit history {version.project}")
