"""The system calls a sandboxed process may not make, as a compiled filter.

A deny-list: programs under test may use what ordinary programs use; what reaches for other namespaces, other
processes' memory, kernel modules, clocks, key rings or rarely audited kernel code fails with EPERM. No file may be made
setuid or setgid: in a workspace of root it would be root's on disk. ``clone3`` and ``openat2`` answer ENOSYS, because
their flags cannot be inspected; callers then fall back to ``clone`` and ``openat``.
"""

import errno
import os
import socket
import stat
from functools import cache
from typing import Any

from bullpen.domain.errors import Missing

_REFUSED = (
    # mounts and namespaces
    "mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr",
    "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "unshare", "setns",
    # other processes, handles that pass by paths
    "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise",
    "name_to_handle_at",
    "open_by_handle_at",
    # code that has opened kernels before
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
    "keyctl", "add_key", "request_key",
    "fanotify_init", "lookup_dcookie", "modify_ldt", "vm86", "vm86old", "uselib", "nfsservctl",
    # the machine itself
    "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "swapon",
    "swapoff", "acct", "quotactl",
    "quotactl_fd", "syslog", "iopl", "ioperm", "settimeofday", "stime", "clock_settime",
    "clock_settime64", "clock_adjtime",
    "clock_adjtime64", "adjtimex", "sethostname", "setdomainname", "vhangup", "move_pages",
    "migrate_pages",
)  # fmt: skip
_NEW_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000, 0x80)
_FAMILIES = frozenset({socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK})
_LAST_NAMED_FAMILY = 64
_NEWER = {"clone3": 435, "openat2": 437, "fchmodat2": 452}  # the same on every architecture
_UNINSPECTABLE = ("clone3", "openat2")
_SET_ID = (stat.S_ISUID, stat.S_ISGID)
# Where the mode stands among the arguments; where the flags stand that say whether there is a mode at all.
_MODE_GIVEN = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "creat": 1, "mknod": 1, "mknodat": 2}
_MODE_BY_FLAG = {"open": (1, 2), "openat": (2, 3)}
_CREATING = (os.O_CREAT, os.O_TMPFILE)
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C


@cache
def filter_program() -> bytes:
    """The filter as BPF instructions, for ``bwrap --seccomp``; compiled once.

    Raises:
        Missing: pyseccomp or the libseccomp it loads is not installed.
    """
    try:
        import pyseccomp
    except (ImportError, RuntimeError) as error:
        raise Missing(
            "The system call filter needs pyseccomp and libseccomp.",
            remedy="Install them: apt-get install libseccomp2 (Fedora: dnf install libseccomp); pip install pyseccomp",
        ) from error
    rules: Any = pyseccomp
    compiled = rules.SyscallFilter(rules.ALLOW)
    for name in _REFUSED:
        _refuse_call(rules, compiled, name)
    for name in _UNINSPECTABLE:
        compiled.add_rule(rules.ERRNO(errno.ENOSYS), _number(rules, name))
    _refuse_set_id(rules, compiled)
    for flag in _NEW_NAMESPACES:
        compiled.add_rule(rules.ERRNO(errno.EPERM), "clone", rules.Arg(0, rules.MASKED_EQ, flag, flag))
    for request in (_TIOCSTI, _TIOCLINUX):
        compiled.add_rule(
            rules.ERRNO(errno.EPERM), "ioctl", rules.Arg(1, rules.MASKED_EQ, 0xFFFFFFFF, request)
        )
    _refuse_families(rules, compiled)
    return _export(compiled)


def _refuse_call(rules: Any, compiled: Any, name: str) -> None:
    # A call that this architecture or this libseccomp does not know cannot be made by name either.
    if (number := _number(rules, name)) is not None:
        compiled.add_rule(rules.ERRNO(errno.EPERM), number)


def _refuse_set_id(rules: Any, compiled: Any) -> None:
    refusal = rules.ERRNO(errno.EPERM)
    for bit in _SET_ID:
        for name, mode in _MODE_GIVEN.items():
            if (number := _number(rules, name)) is not None:
                compiled.add_rule(refusal, number, rules.Arg(mode, rules.MASKED_EQ, bit, bit))
        for name, (flags, mode) in _MODE_BY_FLAG.items():
            if (number := _number(rules, name)) is not None:
                for flag in _CREATING:
                    made = rules.Arg(flags, rules.MASKED_EQ, flag, flag)
                    compiled.add_rule(refusal, number, made, rules.Arg(mode, rules.MASKED_EQ, bit, bit))


def _number(rules: Any, name: str) -> int | None:
    """A call's number, also where libseccomp is older than the call; None where this architecture lacks it."""
    found = int(rules.resolve_syscall(rules.Arch.NATIVE, name))
    return found if found > 0 else _NEWER.get(name)


def _refuse_families(rules: Any, compiled: Any) -> None:
    """Only local, internet and netlink sockets: a VM socket would reach past the network namespace to the host."""
    refusal = rules.ERRNO(errno.EAFNOSUPPORT)
    for family in set(range(_LAST_NAMED_FAMILY)) - _FAMILIES:
        compiled.add_rule(refusal, "socket", rules.Arg(0, rules.MASKED_EQ, 0xFFFFFFFF, family))
    compiled.add_rule(refusal, "socket", rules.Arg(0, rules.GE, _LAST_NAMED_FAMILY))


def _export(compiled: Any) -> bytes:
    with os.fdopen(os.memfd_create("seccomp"), "w+b") as file:
        compiled.export_bpf(file)
        file.seek(0)
        return file.read()
