"""The exchange: a repository that workers with homes of their own hand commits over by.

Everything of a session lies under ``refs/bullpen/SESSION/`` there and goes when the session ends. Nobody needs more of
it than to fetch and to push; a bare repository on a shared disk or behind ssh will do.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.errors import BullpenError, NotFound, Unavailable
from bullpen.vcs.commits import check_ref_name
from bullpen.vcs.git import git
from bullpen.vcs.trees import checked

EXCHANGE_SECONDS = 1800.0
_PROTOCOLS = {
    "GIT_ALLOW_PROTOCOL": "file:http:https:ssh:git"
}  # plain http, too: the person who set it knows the way


def exchange_identity(url: str) -> str:
    """A short name for an exchange: those who name the same URL can do the same work."""
    return f"x-{hashlib.sha256(url.rstrip('/').encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One session's part of the exchange at ``url``. Names in it look like ``tips/COMMIT``."""

    url: str
    session: str

    async def offer(self, mirror: Path, objects: Mapping[str, str]) -> None:
        """Put objects of ``mirror`` (commits, or blobs) there under these names; what is there of a name is replaced.

        Raises:
            Unavailable: it cannot be reached or refuses.
        """
        refs = {await self._ref(mirror, name): checked(one) for name, one in objects.items()}
        specs = [f"+{one}:{ref}" for ref, one in sorted(refs.items())]
        await self._run(mirror, "push", "--quiet", "--no-verify", "--no-signed", "--", self.url, *specs)

    async def has(self, mirror: Path, name: str) -> bool:
        """Whether anything is there under a name."""
        return bool(await self._listed(mirror, await self._ref(mirror, name)))

    async def bring(self, mirror: Path, name: str) -> str:
        """Fetch what is there under a name, with all its history; its hash.

        Raises:
            NotFound: nothing is.
            Unavailable: the exchange cannot be reached.
        """
        ref = await self._ref(mirror, name)
        listed = await self._listed(mirror, ref)
        if ref not in listed:
            raise NotFound(f"The exchange has no {name} of the session {self.session}.")
        found = checked(listed[ref])
        if not await has_object(mirror, found):
            flags = ("--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow")
            await self._run(mirror, "fetch", *flags, "--", self.url, ref)
        return found

    async def forget(self, mirror: Path) -> None:
        """Take away all that the session put there."""
        if refs := await self._listed(mirror, f"refs/bullpen/{self.session}/*"):
            await self._run(
                mirror, "push", "--quiet", "--no-verify", "--", self.url, *(f":{ref}" for ref in refs)
            )

    async def _listed(self, mirror: Path, pattern: str) -> dict[str, str]:
        """Hashes by ref."""
        lines = (await self._run(mirror, "ls-remote", "--quiet", "--", self.url, pattern)).splitlines()
        return {ref: found for found, _, ref in (line.partition("\t") for line in lines)}

    async def _ref(self, mirror: Path, name: str) -> str:
        ref = f"refs/bullpen/{self.session}/{name}"
        await check_ref_name(mirror, ref)
        return ref

    async def _run(self, mirror: Path, *args: str) -> str:
        try:
            done = await git(mirror, *args, env=_PROTOCOLS, network=True, seconds=EXCHANGE_SECONDS)
        except BullpenError as error:
            raise Unavailable(
                f"The exchange cannot be used: {error.sentence}",
                remedy="Check the setting exchange, that its repository is there, and your access to it.",
            ) from error
        return done.text


async def has_object(mirror: Path, name: str) -> bool:
    """Whether an object is in the mirror."""
    return (await git(mirror, "cat-file", "-e", checked(name), accept=(0, 1, 128))).status == 0


async def store_blob(mirror: Path, content: bytes) -> str:
    """Keep bytes in the mirror; their hash."""
    return (await git(mirror, "hash-object", "-w", "--stdin", stdin=content)).text


async def read_blob(mirror: Path, name: str) -> bytes:
    """Bytes that were kept."""
    return (await git(mirror, "cat-file", "blob", checked(name))).stdout
