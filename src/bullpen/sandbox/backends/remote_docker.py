"""Docker on another machine, which ``DOCKER_HOST`` names. Needs the extra ``docker``; ``ssh`` or TLS certificates.

Nothing of this machine can be mounted there. What a command reads travels once for each content and is kept as a layer
of an image; what it may write is a volume, which travels there and back. Without a configured image it finds the other
machine's programs.
"""

import asyncio
import atexit
import contextlib
import hashlib
import os
import sys
import tempfile
import threading
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO

from docker.errors import APIError, DockerException, ImageNotFound
from docker.types import Mount as EngineMount
from requests.exceptions import RequestException

from bullpen.domain.errors import BullpenError, InvalidInput, Missing, Unavailable
from bullpen.sandbox.backends._docker_address import REMOTE
from bullpen.sandbox.backends._docker_copy import Digest, Owner, Sent, marks, pack, unpack
from bullpen.sandbox.backends._docker_remote import LAYER_LABEL, Engine, connect
from bullpen.sandbox.backends._docker_run import (
    Frame,
    Output,
    check_words,
    confinement,
    converse,
    create,
    kill,
)
from bullpen.sandbox.base import MEBIBYTE, Command, End, Limits, Mount, Network, Outcome, Probe
from bullpen.sandbox.linux import rootfs
from bullpen.sandbox.stop import Stop, until_dead

_REMEDY = "See that the machine is up, that its Docker engine runs, and that DOCKER_HOST names it."
_HOSTS = "Use the bubblewrap or the docker sandbox, or run the command without hosts."
_WEAKNESSES = (
    "processor time and memory use not measured",
    "programs are the Docker host's own",
    "single hosts cannot be reached",
)
_NOBODY = f"{rootfs.USER}:{rootfs.USER}"
_WORKSPACE_OWNER = Owner(rootfs.USER, all_of_it=True)
_MOUNT_OWNER = Owner(rootfs.USER, all_of_it=False)
_KEEPER_LIMITS = Limits(cpus=0.5, memory_bytes=128 * MEBIBYTE, processes=16, scratch_bytes=MEBIBYTE)
_KEEPER = {
    "cap_add": ["DAC_READ_SEARCH"],
    "read_only": False,
}  # an engine puts nothing into what is read-only
_KEPT_FREE = 256 * MEBIBYTE
_KIBIBYTE = 1024
_WATCH = 'while :; do du -skc "$@"; df -Pk "$@"; echo .; sleep 0.2; done 2>/dev/null'
_SPARE = 64 * MEBIBYTE
_BEGIN_SECONDS = 30
_DF_FIELDS = 5
_PROGRAMS = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/proc", "/dev", "/sys")


@dataclass(frozen=True)
class RemoteDocker:
    """See the module. ``image`` must hold what commands need (a shell, ``du``, Python); None: the machine's programs.

    ``environment`` says where the engine is, in the variables of Docker's own client.
    """

    name: str = REMOTE
    image: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, compare=False)

    async def probe(self) -> Probe:
        """Really run ``true``."""
        try:
            outcome = await self.run(Command(("true",), limits=Limits(wall_seconds=60)))
        except BullpenError as error:
            return Probe(self.name, works=False, reason=error.sentence, remedy=error.remedy)
        if not outcome.ok:
            reason = outcome.stderr.decode(errors="replace").strip() or f"`true` {outcome.end}"
            return Probe(self.name, works=False, reason=reason, remedy=_REMEDY)
        return Probe(self.name, works=True, weaknesses=_WEAKNESSES)

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        """See ``Backend.run``. The host's network is that of the other machine. A cancelled command changes nothing here.

        Raises:
            Unavailable: the other machine does not answer, or has gone meanwhile.
        """
        rootfs.check_command(command)
        check_words(command)
        _check_mounts(command)
        stop = Stop()
        try:
            return await until_dead(self._there(command, stop, on_output), stop)
        except APIError as error:
            raise Missing(f"The Docker host refuses: {error.explanation or error}", remedy=_REMEDY) from error
        except (DockerException, RequestException, OSError) as error:
            await asyncio.to_thread(self._link.drop)
            raise Unavailable(f"The Docker host does not answer: {error}", remedy=_REMEDY) from error

    async def _there(
        self, command: Command, stop: Stop, on_output: Callable[[bytes], None] | None
    ) -> Outcome:
        engine = await asyncio.to_thread(self._link.engine)
        run = _Run(
            engine, command, uuid.uuid4().hex, await asyncio.to_thread(self._image_for, engine, command)
        )
        with engine.marked(run.number):
            return await run.go(self._programs(engine), stop, on_output)

    def _programs(self, engine: Engine) -> Sequence[EngineMount]:
        return engine.programs() if self.image is None else ()

    def _image_for(self, engine: Engine, command: Command) -> str:
        """Id of the image with all that the command only reads, made there if it is not."""
        named = self.image
        base = engine.base_image() if named is None else str(engine.api.inspect_image(named)["Id"])
        layers = [_Layer(mount, _digest(mount, self._link.digests)) for mount in _read_only(command)]
        return _layered(engine, base, layers)

    @cached_property
    def _link(self) -> "_Link":
        return _Link(self.environment)


class _Link:
    """The connection that runs share, made when it is first needed and again after it was lost."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment, self._lock = environment, threading.Lock()
        self._engine: Engine | None = None
        self.digests: dict[str, str] = {}  # of content, by its marks

    def engine(self) -> Engine:
        """One that answered."""
        with self._lock:
            if self._engine is None:
                self._engine = connect(self._environment)
                atexit.register(self.drop)
            return self._engine

    def drop(self) -> None:
        """Forget the connection."""
        with self._lock:
            if self._engine is not None:
                atexit.unregister(self.drop)
                self._engine.close()
            self._engine = None


# --- one run ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder that is a volume there. ``without`` are paths in it that something else is mounted over."""

    source: Path
    target: str
    volume: str
    writable: bool
    without: frozenset[str] = frozenset()

    def mount(self, *, writable: bool) -> EngineMount:
        return EngineMount(self.target, self.volume, read_only=not writable, no_copy=True)


@dataclass(frozen=True, slots=True)
class _Run:
    """One command there. The keeper is a container with all its volumes, in which files arrive and leave."""

    engine: Engine
    command: Command
    number: str
    image: str

    async def go(
        self, programs: Sequence[EngineMount], stop: Stop, on_output: Callable[[bytes], None] | None
    ) -> Outcome:
        """To the end, with what it changed brought back."""
        places = tuple(_places(self.command, self.number))
        mounts = [*programs, *(place.mount(writable=place.writable) for place in places)]
        frame = Frame(self.image, str(self.command.network), _NOBODY, mounts, self._labels())
        if not places:
            return await self._contained(frame, stop, on_output)
        keeper = await asyncio.to_thread(self._create_keeper, programs, places)
        try:
            sent = await asyncio.to_thread(self._fill, keeper, places)
            async with self._watched(keeper, places, stop):
                outcome = await self._contained(frame, stop, on_output)
            if outcome.end is End.CANCELLED:
                return outcome
            return await asyncio.to_thread(self._bring_back, keeper, sent, outcome)
        finally:
            await asyncio.to_thread(self.engine.remove, keeper, tuple(place.volume for place in places))

    def _labels(self) -> dict[str, str]:
        return self.engine.labels(self.number, self.command.limits.wall_seconds)

    async def _contained(
        self, frame: Frame, stop: Stop, on_output: Callable[[bytes], None] | None
    ) -> Outcome:
        api = self.engine.api
        container = await asyncio.to_thread(create, api, self.command, frame)
        try:
            stream = await self.engine.attach(container)
            with contextlib.closing(stream):
                return await converse(api, container, stream, self.command, stop, on_output)
        finally:
            await asyncio.to_thread(self.engine.remove, container)

    def _create_keeper(self, programs: Sequence[EngineMount], places: Sequence[_Place]) -> str:
        """A container that may read every file of the volumes, and runs nothing but our watch."""
        api = self.engine.api
        watch = Command(("sh", "-c", _WATCH, "sh", *_watched_targets(places)), limits=_KEEPER_LIMITS)
        made = api.create_container(
            self.image,
            list(watch.argv),
            user="0:0",
            entrypoint=[],
            healthcheck={"test": ["NONE"]},
            labels=self._labels(),
            environment=dict(rootfs.BASE_ENVIRONMENT),
            host_config=api.create_host_config(
                **{**confinement(watch, str(Network.NONE)), **_KEEPER},
                mounts=[*programs, *(place.mount(writable=True) for place in places)],
            ),
        )
        return str(made["Id"])

    def _fill(self, keeper: str, places: Sequence[_Place]) -> list[tuple[_Place, dict[str, Sent], int]]:
        filled: list[tuple[_Place, dict[str, Sent], int]] = []
        for place in places:
            with tempfile.TemporaryFile() as spool:
                inside = place.target.strip("/")
                sent = pack(place.source, inside, _WORKSPACE_OWNER, spool, without=place.without)
                size = spool.tell()
                spool.seek(0)
                self.engine.api.put_archive(keeper, "/", spool)  # or the folder itself would stay as it is
            filled.append((place, sent, size))
            if place.target == rootfs.WORK:
                self._fill_in_work(keeper, frozenset(sent))
        return filled

    def _fill_in_work(self, keeper: str, known: frozenset[str]) -> None:
        for mount in _in_work(self.command):
            inside = str(PurePosixPath(mount.target).relative_to(rootfs.WORK))
            with tempfile.TemporaryFile() as spool:
                pack(mount.source.resolve(), inside, _MOUNT_OWNER, spool, known=known)
                spool.seek(0)
                self.engine.api.put_archive(keeper, rootfs.WORK, spool)

    @contextlib.asynccontextmanager
    async def _watched(self, keeper: str, places: Sequence[_Place], stop: Stop) -> AsyncGenerator[None]:
        """While in here, ``stop`` is asked when the volumes grow by more than they may."""
        if not _watched_targets(places):
            yield
            return
        meter = _Meter(self.command.limits.disk_bytes, stop)
        stream = await self.engine.attach(keeper)
        with contextlib.closing(stream):
            await asyncio.to_thread(self.engine.api.start, keeper)
            said = Command(("watch",), limits=Limits(output_bytes=sys.maxsize))
            hearing = asyncio.create_task(Output(said, meter.hear, Stop()).read(stream))
            try:
                await asyncio.wait(
                    {hearing, meter.begun, stop.asked},
                    return_when=asyncio.FIRST_COMPLETED,
                    timeout=_BEGIN_SECONDS,
                )
                if not meter.begun.done() and not stop.reason:
                    raise Missing(
                        "The Docker host cannot watch the disk: no `du` or `df` there.", remedy=_REMEDY
                    )
                yield
            finally:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)

    def _bring_back(
        self, keeper: str, sent: Sequence[tuple[_Place, dict[str, Sent], int]], outcome: Outcome
    ) -> Outcome:
        growth, changed = 0, ()
        limit = self.command.limits.disk_bytes
        kill(self.engine.api, keeper)
        for place, there, size in sent:
            if not place.writable:
                continue
            with tempfile.TemporaryFile() as spool:
                if not self._fetch(keeper, place.target, spool, 2 * (size + limit) + _SPARE):
                    return replace(outcome, end=End.DISK, exit_status=None)
                spool.seek(0)
                returned = unpack(spool, place.source, there, _stays(place))
            growth += returned.growth
            changed = returned.changed if place.target == rootfs.WORK else changed
        if outcome.end is End.EXITED and growth > limit:
            outcome = replace(outcome, end=End.DISK, exit_status=None)
        return replace(outcome, changed=changed)

    def _fetch(self, keeper: str, target: str, spool: IO[bytes], most: int) -> bool:
        """Whether the archive of a volume fits into so many bytes; sparse files are written out in it."""
        chunks, _ = self.engine.api.get_archive(keeper, target)
        with contextlib.closing(chunks):
            for chunk in chunks:
                spool.write(chunk)
                if spool.tell() > most:
                    return False
        return True


class _Meter:
    """Hears what the keeper measures, round after round; ``begun`` is done after the first."""

    def __init__(self, limit: int, stop: Stop) -> None:
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._limit, self._stop, self._pending = limit, stop, b""
        self._first: tuple[int, int] | None = None

    def hear(self, data: bytes) -> None:
        """Take in what comes next."""
        *rounds, self._pending = (self._pending + data).split(b"\n.\n")
        for one in rounds:
            self._judge(_used_and_free(one))

    def _judge(self, now: tuple[int, int]) -> None:
        if self._first is None:
            self._first = now
            self.begun.set_result(None)
        used, free = self._first
        if now[0] - used > self._limit or now[1] < min(_KEPT_FREE, free // 2):
            self._stop.ask(End.DISK)


def _used_and_free(text: bytes) -> tuple[int, int]:
    """Bytes used in all places, and free on the fullest disk, from what ``du -skc`` and ``df -Pk`` say."""
    lines = text.splitlines()
    used = next((int(line.split()[0]) for line in lines if line.endswith(b"\ttotal")), 0)
    fields = [line.split() for line in lines]
    free = [int(field[3]) for field in fields if len(field) > _DF_FIELDS and field[3].isdigit()]
    return used * _KIBIBYTE, min(free, default=0) * _KIBIBYTE


# --- what goes where --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Layer:
    mount: Mount
    digest: str


def _places(command: Command, number: str) -> Iterator[_Place]:
    name = f"bullpen-{number}"
    if command.workspace is not None:
        over = frozenset(
            str(PurePosixPath(mount.target).relative_to(rootfs.WORK)) for mount in _below_work(command)
        )
        yield _Place(command.workspace, rootfs.WORK, f"{name}-work", command.workspace_writable, over)
    for count, mount in enumerate(mount for mount in command.mounts if _is_volume(mount)):
        yield _Place(mount.source.resolve(), mount.target, f"{name}-{count}", mount.writable)


def _stays(place: _Place) -> frozenset[str]:
    """What never comes back: git on this machine obeys what stands in ``.git``."""
    return place.without | {".git"} if place.target == rootfs.WORK else place.without


def _watched_targets(places: Sequence[_Place]) -> list[str]:
    return [place.target for place in places if place.writable]


def _is_volume(mount: Mount) -> bool:
    return mount.writable or PurePosixPath(mount.target).is_relative_to("/tmp")  # noqa: S108 - the path inside


def _below_work(command: Command) -> list[Mount]:
    if command.workspace is None:
        return []
    return [mount for mount in command.mounts if PurePosixPath(mount.target).is_relative_to(rootfs.WORK)]


def _in_work(command: Command) -> list[Mount]:
    return [mount for mount in _below_work(command) if not _is_volume(mount)]


def _read_only(command: Command) -> list[Mount]:
    """Mounts that become layers of the image."""
    in_work = _in_work(command)
    return [mount for mount in command.mounts if not _is_volume(mount) and mount not in in_work]


def _check_mounts(command: Command) -> None:
    if command.hosts:
        raise Missing(
            "A command on a Docker host elsewhere cannot be given a way to single hosts.", remedy=_HOSTS
        )
    for mount in command.mounts:
        if _is_volume(mount) and not mount.source.is_dir():
            raise InvalidInput(
                f"{mount.target!r} is a single file that would be a folder's volume on the Docker host: mount its folder."
            )
        if any(PurePosixPath(mount.target).is_relative_to(top) for top in _PROGRAMS):
            raise InvalidInput(f"{mount.target!r} is among the Docker host's own programs.")


def _digest(mount: Mount, known: dict[str, str]) -> str:
    """The hash of a mount's content, which is read again only when its marks differ."""
    source = mount.source.resolve()
    mark = f"{source}\0{marks(source)}"
    if mark not in known:
        found = Digest()
        pack(source, "mount", _MOUNT_OWNER, found)
        known[mark] = found.hexdigest()
    return known[mark]


def _layered(engine: Engine, base: str, layers: Sequence[_Layer]) -> str:
    """The image of ``base`` with all layers; what is not there yet is sent."""
    if not layers:
        return base
    tag = base
    for layer in layers:
        tag = hashlib.sha256(f"{tag}\0{layer.mount.target}\0{layer.digest}".encode()).hexdigest()
    image = f"bullpen-layer:{tag}"
    try:
        engine.api.inspect_image(image)
    except ImageNotFound:
        below = _layered(engine, base, layers[:-1])
        _send_layer(engine, below, layers[-1].mount, tag)
    return image


def _send_layer(engine: Engine, below: str, mount: Mount, tag: str) -> None:
    with tempfile.TemporaryFile() as spool, engine.unstarted(below, [], uuid.uuid4().hex) as container:
        pack(mount.source.resolve(), mount.target.strip("/"), _MOUNT_OWNER, spool)
        spool.seek(0)
        engine.api.put_archive(container, "/", spool)
        engine.api.commit(
            container, repository="bullpen-layer", tag=tag, changes=[f"LABEL {LAYER_LABEL}=1"], pause=False
        )


backend = RemoteDocker()
