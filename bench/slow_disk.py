"""A disk of one's own that is slow, or stands still: a loop device, held back by the kernel's own throttle for devices.

What is written goes to the page cache at once, as on any disk; ``fsync`` waits until the device has taken it. The throttle
is set for this device only. Needs root, loop devices, and the ``blkio`` controller of control groups v1.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

THROTTLE = Path("/sys/fs/cgroup/blkio/blkio.throttle.write_iops_device")


def is_possible() -> bool:
    """Whether this machine can have one."""
    return THROTTLE.exists() and Path("/dev/loop-control").exists()


@dataclass
class SlowDisk:
    """A file system of ``mebibytes`` below ``folder``, mounted while in the context."""

    folder: Path
    mebibytes: int = 1024
    device: str = ""
    number: str = ""

    @property
    def place(self) -> Path:
        """Where it is mounted."""
        return self.folder / "slow"

    def __enter__(self) -> Self:
        image = self.folder / "disk"
        self.place.mkdir(parents=True)
        with image.open("wb") as file:
            file.truncate(self.mebibytes << 20)
        _run("mkfs.ext4", "-q", str(image))
        self.device = _run("losetup", "--find", "--show", str(image))
        self.number = _run("stat", "--format=%Hr:%Lr", self.device)
        _run("mount", self.device, str(self.place))
        return self

    def __exit__(self, *_: object) -> None:
        self.slow(0)
        _run("umount", "--lazy", str(self.place))
        _run("losetup", "--detach", self.device)

    def slow(self, writes: int) -> None:
        """So many writes a second from now on; 0 for as many as it can. An ``fsync`` takes several.

        What was written before is on the disk by then, else it would hold up all that follows.
        """
        if writes:
            _run("sync", "--file-system", str(self.place))
        THROTTLE.write_text(f"{self.number} {writes}")

    def stop(self) -> None:
        """Whoever writes waits until ``go``."""
        _run("fsfreeze", "--freeze", str(self.place))

    def go(self) -> None:
        """It takes writes again."""
        _run("fsfreeze", "--unfreeze", str(self.place))


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
