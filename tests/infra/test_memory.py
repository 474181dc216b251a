from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.memory import lies_in_memory, usable_bytes

GROUPS = {
    "version 2": ("0::/jobs/one\n", "sys/fs/cgroup/jobs/one/memory.max"),
    "version 2, the group above": ("0::/jobs/one\n", "sys/fs/cgroup/jobs/memory.max"),
    "version 2, a container": ("0::/\n", "sys/fs/cgroup/memory.max"),
    "version 1": ("9:name=systemd:/\n4:cpu,memory:/jobs\n0::/\n", "sys/fs/cgroup/memory/jobs/memory.limit_in_bytes"),
    "version 1, a container": ("4:memory:/docker/af31\n", "sys/fs/cgroup/memory/memory.limit_in_bytes"),
}


def place(root: Path, groups: str, limit: str, said: str) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    (root / limit).parent.mkdir(parents=True)
    (root / limit).write_text(said)


@pytest.mark.parametrize(("groups", "limit"), GROUPS.values(), ids=GROUPS)
def test_the_limit_of_a_control_group_bounds_what_is_usable(tmp_path: Path, groups: str, limit: str) -> None:
    place(tmp_path, groups, limit, "1000000\n")
    assert usable_bytes(tmp_path) == 1_000_000


@pytest.mark.parametrize("said", ["max\n", "9223372036854771712\n"], ids=["version 2", "version 1"])
def test_a_group_without_a_limit_leaves_what_the_machine_has(tmp_path: Path, said: str) -> None:
    place(tmp_path, "0::/jobs\n", "sys/fs/cgroup/jobs/memory.max", said)
    assert 1_000_000 < usable_bytes(tmp_path) < 9223372036854771712


def test_a_folder_of_a_memory_file_system_is_told_from_one_on_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [("/", "ext4"), ("/tmp", "tmpfs"), ("/tmp/disk", "ext4"), ("/srv", "ext4"), ("/srv", "tmpfs")]
    listed = [SimpleNamespace(mountpoint=place, fstype=kind) for place, kind in mounts]
    monkeypatch.setattr("psutil.disk_partitions", lambda all: listed)  # noqa: A006  psutil's name
    asked = ["/home/one", "/tmp/one", "/tmp/disk/one", "/tmpother", "/srv"]
    assert [lies_in_memory(Path(folder)) for folder in asked] == [False, True, False, False, True]
