"""Who holds a lease, and whether that process is still alive, as far as this host can say."""

import os
import socket
from pathlib import Path

import psutil

from infra.registry.records import Holder

SAME_PROCESS_S = 1.0
"""Two readings of one process's start, in seconds since boot, differ by less than this."""


def describe_process() -> Holder:
    """Return this process as the holder of a lease."""
    pid = os.getpid()
    return Holder(
        host=socket.gethostname(), boot_id=_read_boot_id(), pid=pid, process_started_s=_read_start(psutil.Process(pid))
    )


def is_dead(holder: Holder) -> bool:
    """Return True only where it is certain: a process of this host, boot and pid namespace that has ended.

    Anything else (another host, another container, a process that may not be looked at) is for the lease's end to tell.
    """
    if holder.host != socket.gethostname() or holder.boot_id != _read_boot_id():
        return False
    try:
        os.kill(holder.pid, 0)  # psutil cannot see others' processes under hidepid, and would call them gone
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    try:
        process = psutil.Process(holder.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return abs(_read_start(process) - holder.process_started_s) > SAME_PROCESS_S
    except psutil.Error:
        return False


def _read_start(process: psutil.Process) -> float:
    # Since boot, not since 1970: a clock that is set would make every process look like another one.
    return process.create_time() - psutil.boot_time()


def _read_boot_id() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # Containers may share host name and boot, and each has its own pid 1.
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{psutil.boot_time():.0f}"
