"""Watch one child process: collect its output up to a cap, hold it to a deadline, reap it.

Everything is done by readiness callbacks on the running loop; no thread and no helper process.
"""

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import AsyncIterable, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from bullpen.sandbox.base import End, Limits, Talk
from bullpen.sandbox.stop import Stop

_CHUNK = 65_536
_DRAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How the child ended. ``stopped`` says why we ended it, None if it ended by itself.

    ``returncode`` is negative for a signal, as in ``subprocess``.
    """

    returncode: int
    stopped: End | None
    stdout: bytes
    stderr: bytes
    wall_seconds: float


class _Capture:
    """Reads a pipe to its end, keeps the first ``limit`` bytes, and says when there were more."""

    def __init__(
        self,
        descriptor: int,
        limit: int,
        on_output: Callable[[bytes], None] | None,
        on_full: Callable[[], None],
    ) -> None:
        self._descriptor, self._left, self._on_output, self._on_full = descriptor, limit, on_output, on_full
        self._chunks: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._read)

    @property
    def data(self) -> bytes:
        return b"".join(self._chunks)

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _read(self) -> None:
        try:
            chunk = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self._loop.remove_reader(self._descriptor)
            self.ended.set_result(None)
            return
        kept = chunk[: self._left]
        self._left -= len(kept)
        if kept:
            self._chunks.append(kept)
            if self._on_output:
                self._on_output(kept)
        if len(kept) < len(chunk):
            self._on_full()


async def supervise(
    argv: Sequence[str],
    *,
    stdin: bytes | Talk,
    pass_fds: Sequence[int],
    limits: Limits,
    stop: Stop,
    admit: Callable[[], Coroutine[Any, Any, None]],
    kill: Callable[[int], None],
    on_output: Callable[[bytes], None] | None,
) -> Ended:
    """Start ``argv``, wait for its end or for ``stop``, and collect what it wrote.

    ``pass_fds`` are closed here once the child has them. ``admit`` runs beside the child from its start,
    to let it in where it waits at a gate, and must end when the child has ended. ``kill`` gets the child's process id and must end everything below it. The
    deadline and a full output ask ``stop`` themselves. The child is started on the thread of the loop: bwrap dies with
    the thread that started it.

    Raises:
        OSError: the program cannot be started, or not be let in.
    """
    loop = asyncio.get_running_loop()
    started = time.monotonic()
    talk = stdin if isinstance(stdin, Talk) else None
    source, mouth = os.pipe() if isinstance(stdin, Talk) else (memory_file(stdin), -1)
    try:
        child, out, err = _spawn(argv, source, pass_fds)
    except OSError:
        _close(mouth)
        raise
    captures = [
        _Capture(pipe, limits.output_bytes, tell, lambda: stop.ask(End.OUTPUT))
        for pipe, tell in ((out, _both(on_output, talk.hears if talk else None)), (err, on_output))
    ]
    feeding = asyncio.create_task(_feed(mouth, talk.says)) if talk else None
    timer = loop.call_later(limits.wall_seconds, stop.ask, End.TIMEOUT)
    admission = asyncio.create_task(admit())
    admission.add_done_callback(lambda task: _stop_if_failed(task, stop))
    reaped = False
    try:
        with _watch(child) as exited:
            await asyncio.wait({exited, stop.asked}, return_when=asyncio.FIRST_COMPLETED)
            stopped = None if exited.done() else stop.reason
            if stopped:
                kill(child)
                await exited
        _, status = os.waitpid(child, 0)  # noqa: ASYNC222 - it has exited
        reaped = True
        await admission
        await asyncio.wait({capture.ended for capture in captures}, timeout=_DRAIN_SECONDS)
        out_data, err_data = (capture.data for capture in captures)
        wall = time.monotonic() - started
        reason = stopped or stop.reason
        return Ended(os.waitstatus_to_exitcode(status), reason, out_data, err_data, wall)
    finally:
        timer.cancel()
        admission.cancel()
        if feeding:
            feeding.cancel()
            await asyncio.wait({feeding})
        if not reaped:  # the loop itself is ending
            kill(child)
            os.waitpid(child, 0)  # noqa: ASYNC222 - the loop can wait no more
        for capture in captures:
            capture.close()


def memory_file(data: bytes) -> int:
    """A descriptor from which ``data`` can be read."""
    handle = os.memfd_create("bullpen")
    os.write(handle, data)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _both(
    first: Callable[[bytes], None] | None, second: Callable[[bytes], None] | None
) -> Callable[[bytes], None] | None:
    if first is None or second is None:
        return first or second

    def tell(chunk: bytes) -> None:
        first(chunk)
        second(chunk)

    return tell


async def _feed(descriptor: int, chunks: AsyncIterable[bytes]) -> None:
    """Write what comes; a child that reads no more, or has ended, is not waited for."""
    os.set_blocking(descriptor, False)
    try:
        async for chunk in chunks:
            await _write(descriptor, chunk)
    except BrokenPipeError:
        return
    finally:
        os.close(descriptor)


async def _write(descriptor: int, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            room = asyncio.Event()
            loop.add_writer(descriptor, room.set)
            try:
                await room.wait()
            finally:
                loop.remove_writer(descriptor)


def _stop_if_failed(admission: asyncio.Task[None], stop: Stop) -> None:
    if not admission.cancelled() and admission.exception():
        stop.ask(End.CANCELLED)


async def gone(pid: int) -> None:
    """Wait, but not for ever, until the process has exited; of a PID namespace's first, until all inside have."""
    try:
        with _watch(pid) as exited:
            await asyncio.wait({exited}, timeout=_DRAIN_SECONDS)
    except ProcessLookupError:
        return


@contextlib.contextmanager
def _watch(pid: int) -> Generator[asyncio.Future[None]]:
    """A future that is done once the process has exited."""
    loop = asyncio.get_running_loop()
    exited: asyncio.Future[None] = loop.create_future()
    descriptor = os.pidfd_open(pid)

    def note() -> None:
        loop.remove_reader(descriptor)
        exited.set_result(None)

    loop.add_reader(descriptor, note)
    try:
        yield exited
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _spawn(argv: Sequence[str], stdin: int, pass_fds: Sequence[int]) -> tuple[int, int, int]:
    """Process id, and the read ends of its stdout and stderr."""
    out, out_inside = os.pipe()
    err, err_inside = os.pipe()
    try:
        process = subprocess.Popen(
            argv, stdin=stdin, stdout=out_inside, stderr=err_inside, pass_fds=pass_fds, env={}, cwd="/"
        )
    except OSError:
        os.close(out)
        os.close(err)
        raise
    finally:
        for descriptor in (out_inside, err_inside, stdin, *pass_fds):
            os.close(descriptor)
    process.returncode = 0  # reaped above, when its descriptor says so
    return process.pid, out, err
