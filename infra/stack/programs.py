"""The programs of a stack, in the order in which they start; they stop the other way round."""

from infra.stack.orchestration import describe_server, describe_worker
from infra.stack.postgres import describe_postgres
from infra.stack.program import Program
from infra.stack.seaweed import describe_seaweed
from infra.stack.state import StackState


def list_programs(state: StackState) -> tuple[Program, ...]:
    """Return the programs of this stack in the order of their start."""
    stores = (describe_postgres(state), describe_seaweed(state))
    return (*stores, describe_server(state), *(describe_worker(state, worker) for worker in state.workers))
