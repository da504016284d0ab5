"""A socket that listens in another process's network namespace."""

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from bullpen.sandbox.linux.listener import open_listener

pytestmark = [pytest.mark.req("BOX-02"), pytest.mark.needs("root", "mounts")]


@pytest.fixture
def apart() -> Iterator[int]:
    """A process in a network namespace of its own."""
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; read _"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        process.kill()


def test_it_is_not_reached_from_here(apart: int) -> None:
    listener = open_listener(apart, 3128)
    assert listener is not None
    with listener:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 3128), 5)


def test_a_port_that_is_taken_there_is_told(apart: int) -> None:
    first = open_listener(apart, 3128)
    assert first is not None
    with first, pytest.raises(OSError, match="in use"):
        open_listener(apart, 3128)


def test_in_ones_own_namespace_it_is_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    listener = open_listener(os.getpid(), port)
    assert listener is not None
    with listener, socket.create_connection(("127.0.0.1", port), 5):
        listener.accept()[0].close()


def test_of_a_process_that_has_ended_there_is_none() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert open_listener(process.pid, 3128) is None
