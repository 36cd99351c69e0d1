from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queuectl.errors import StoreUnavailable
from queuectl.store import open_store
from queuectl.store.sqlite import file_system
from queuectl.store.sqlite.file_system import check_file_system
from tests.engine.commands import linux_only

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = linux_only


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to write in place of what the system says is mounted."""
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(file_system, "MOUNTS", mounts)
    return mounts


def mount(point: Path | str, kind: str) -> str:
    """Make a line of such a file; two fields are optional, and one of them is there."""
    escaped = str(point).replace("\\", r"\134").replace(" ", r"\040")
    return f"36 35 98:0 /mnt1 {escaped} rw,noatime master:1 - {kind} server:/export rw\n"


NETWORK = ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs"]


@pytest.mark.parametrize("kind", NETWORK)
@pytest.mark.parametrize("read_only", [False, True])
async def test_a_store_on_a_network_file_system_is_refused(
    tmp_path: Path, mounts: Path, kind: str, *, read_only: bool
) -> None:
    share = tmp_path / "the share"
    share.mkdir()
    mounts.write_text(mount("/", "ext4") + mount(share, kind))

    with pytest.raises(StoreUnavailable, match=rf"jobs\.db is on a network file system \({kind}\)"):
        async with open_store(share / "jobs.db", read_only=read_only):
            pass

    assert list(share.iterdir()) == []


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk"])
def test_one_on_a_disk_of_this_machine_is_not(tmp_path: Path, mounts: Path, kind: str) -> None:
    mounts.write_text(mount("/", "nfs") + mount(tmp_path, kind))

    check_file_system(tmp_path / "jobs.db")


def test_it_is_the_nearest_mount_that_counts(tmp_path: Path, mounts: Path) -> None:
    mounts.write_text(mount(tmp_path / "a" / "b", "nfs") + mount(tmp_path / "a", "ext4") + mount("/", "ext4"))

    check_file_system(tmp_path / "a" / "jobs.db")
    check_file_system(tmp_path / "a" / "beside" / "jobs.db")
    with pytest.raises(StoreUnavailable):
        check_file_system(tmp_path / "a" / "b" / "jobs.db")


def test_of_two_mounts_at_one_point_the_later_counts(tmp_path: Path, mounts: Path) -> None:
    mounts.write_text(mount(tmp_path, "autofs") + mount(tmp_path, "nfs4"))

    with pytest.raises(StoreUnavailable, match="nfs4"):
        check_file_system(tmp_path / "jobs.db")


def test_a_link_is_followed(tmp_path: Path, mounts: Path) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "here").symlink_to(tmp_path / "share")
    mounts.write_text(mount("/", "ext4") + mount(tmp_path / "share", "nfs"))

    with pytest.raises(StoreUnavailable):
        check_file_system(tmp_path / "here" / "jobs.db")


def test_where_nobody_tells_what_is_mounted_nothing_is_refused(tmp_path: Path, mounts: Path) -> None:
    assert not mounts.exists()

    check_file_system(tmp_path / "jobs.db")
