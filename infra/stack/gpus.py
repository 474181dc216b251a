"""Which GPUs this machine has, asked of the driver's own tool."""

import os
import shutil
import subprocess
from typing import Final

TIMEOUT_S: Final = 20


def find_gpus() -> tuple[str, ...]:
    """Return what CUDA_VISIBLE_DEVICES may name, one entry a GPU; nothing where there is none or no driver.

    A CUDA_VISIBLE_DEVICES that is set already narrows the choice: somebody else may use the rest.
    """
    listed = _list_gpus()
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None or not listed:
        return listed
    return tuple(part.strip() for part in given.split(",") if part.strip() not in {"", "-1"})


def _list_gpus() -> tuple[str, ...]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        done = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    lines = [line for line in done.stdout.splitlines() if line.startswith("GPU ")]
    return tuple(str(index) for index in range(len(lines)))
