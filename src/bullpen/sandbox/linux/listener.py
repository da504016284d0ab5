"""A socket that listens inside another process's network namespace and is held by this one.

So a sandbox without any route has one door, and nothing of ours runs in it. A short-lived process enters the namespace,
because entering a user namespace is forbidden to a process with threads; it runs this file as a program and hands the
socket back over ``SCM_RIGHTS``. See setns(2), ioctl_ns(2).
"""

import ctypes
import fcntl
import os
import socket
import subprocess
import sys

_NS_GET_USERNS = 0xB701
_GONE = 3
_SECONDS = 60.0
_KEEP = -1


def open_listener(pid: int, port: int, *, user: int | None = None) -> socket.socket | None:
    """A socket listening on ``port`` in the network namespace of ``pid``; None if that process is gone.

    ``user`` owns the user namespace that was made together with it; None means whoever we are.

    Raises:
        OSError: the namespace may not be entered, or the port is taken.
    """
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            words = map(str, (pid, port, theirs.fileno(), _KEEP if user is None else user))
            done = subprocess.run(
                [sys.executable, "-I", "-S", __file__, *words],
                pass_fds=[theirs.fileno()],
                capture_output=True,
                timeout=_SECONDS,
                check=False,
                env={},
                cwd="/",
            )
        if done.returncode == _GONE:
            return None
        if done.returncode:
            raise OSError(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    return socket.socket(fileno=descriptors[0])


def _main(pid: int, port: int, channel: int, user: int) -> int:
    if user != _KEEP:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    try:
        network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    except (FileNotFoundError, ProcessLookupError):
        return _GONE
    owner = fcntl.ioctl(network, _NS_GET_USERNS)
    if os.fstat(owner).st_ino != os.stat("/proc/self/ns/user").st_ino:  # noqa: PTH116 - nothing but a number is wanted
        _enter(owner)
    _enter(network)
    with socket.socket() as listener, socket.socket(fileno=channel) as answer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Loopback is all there is in it, and may not be up yet.
        listener.bind(("", port))
        listener.listen(128)
        socket.send_fds(answer, [b"."], [listener.fileno()])
    return 0


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, 0):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


if __name__ == "__main__":
    sys.exit(_main(*map(int, sys.argv[1:])))
