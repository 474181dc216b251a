"""The process in which `keepfit up` registers everything with the server: it alone pays for importing Prefect."""

import sys
from pathlib import Path
from typing import Final

from infra.errors import KeepfitError

TOLD: Final = "told: "
"""Before each line of standard output that a person should see; the rest goes into the log."""


def tell(line: str) -> None:
    """Pass a line on to whoever started this process."""
    sys.stdout.write(f"{TOLD}{line}\n")
    sys.stdout.flush()


def register(checkout: Path, cpu_slots: int, gpu_slots: int) -> None:
    """Register pools, queues, deployments and automations."""
    from flows.deploying import deploy  # noqa: PLC0415 - `flows.stack` reads TOLD from here, without Prefect

    try:
        deploy(checkout, cpu_slots, gpu_slots, tell)
    except KeepfitError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    register(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
