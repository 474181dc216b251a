"""How much memory this process may use: as much as the machine has left, and no more than its control groups and its own limits allow."""

import resource
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil

ROOT = Path("/")
IN_MEMORY = ("tmpfs", "ramfs")
_FILES = {"": "memory.max", "memory": "memory.limit_in_bytes"}
"""By controller, as /proc/self/cgroup names it: version 2 has one hierarchy without a name (cgroups(7))."""


def usable_bytes(root: Path = ROOT) -> int:
    """Return the bytes that this process may use beyond what all others use now.

    The least of: the memory that the machine has available, the limit of each control group that this process is in (a
    container's limit is one; versions 1 and 2), and RLIMIT_AS and RLIMIT_DATA.

    Parameters
    ----------
    root
        Where /proc and /sys are.
    """
    own = (resource.getrlimit(which)[0] for which in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    stated = [limit for limit in own if limit != resource.RLIM_INFINITY]
    return min([psutil.virtual_memory().available, *stated, *_group_limits(root)])


def lies_in_memory(folder: Path) -> bool:
    """Return whether what is written into the folder takes memory: it is on a tmpfs, as /tmp is with many distributions."""
    place = folder.resolve()
    mounts = [mount for mount in psutil.disk_partitions(all=True) if place.is_relative_to(mount.mountpoint)]
    # The longest path, and of several mounts on one the last: it lies on the others.
    over = max(enumerate(mounts), key=lambda found: (len(found[1].mountpoint), found[0]), default=None)
    return over is not None and over[1].fstype in IN_MEMORY


def _group_limits(root: Path) -> Iterator[int]:
    """Yield the limit of each group that this process is in, from its own up to that of all."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in _FILES:
                group = PurePosixPath(path.lstrip("/"))
                for place in (group, *group.parents):
                    yield from _read_limit(root / "sys/fs/cgroup" / controller / place / _FILES[controller])


def _read_limit(file: Path) -> Iterator[int]:
    try:
        said = file.read_text().strip()
    except OSError:  # the group is not shown in a container, or the top has no such file
        return
    if said.isdigit():  # not "max"
        yield int(said)
