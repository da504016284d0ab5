"""Runs inside the sandbox, which has no network: passes a port of its own loopback on to the broker's socket.

    python3 -I relay.py SOCKET PORT PROGRAM [ARGUMENT...]

It stands alone on the standard library, and ends with the program's status.
"""

import contextlib
import socket
import subprocess
import sys
import threading

_CHUNK = 65_536


def main(arguments: list[str]) -> int:
    """Listen, then run the program until it ends."""
    door, port, *program = arguments
    server = socket.create_server(("127.0.0.1", int(port)))
    threading.Thread(target=_serve, args=(server, door), daemon=True).start()
    status = subprocess.call(program)
    return 128 - status if status < 0 else status


def _serve(server: socket.socket, door: str) -> None:
    while True:
        inner, _ = server.accept()
        outer = socket.socket(socket.AF_UNIX)
        try:
            outer.connect(door)
        except OSError:
            inner.close()
            continue
        for source, target in ((inner, outer), (outer, inner)):
            threading.Thread(target=_pass, args=(source, target), daemon=True).start()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
