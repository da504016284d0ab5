"""``actions/cache``: folders kept by key over runs of the same repository; saved when the job passed."""

import asyncio
import hashlib
import secrets
from pathlib import Path

from bullpen.flow.pipelines.uses._copy import restore, save
from bullpen.flow.pipelines.uses.base import Acted, Action, Given, Lane, words
from bullpen.vcs.folders import delete_folder


async def _run(lane: Lane, given: Given) -> Acted:
    paths, key = words(given, "path"), str(given.get("key", ""))
    if not paths or not key:
        return Acted(problem="a cache needs a path and a key")
    known = await asyncio.to_thread(_find, lane.site.cache, key, words(given, "restore-keys"))
    exact = known is not None and known.name == _name(key)
    if not exact:
        lane.saves.append(lambda: _save(lane, paths, key))
    if known is None:
        return Acted(f"nothing is kept for {key}", outputs={"cache-hit": "false"})
    put = await restore(lane, paths, known / "files")
    if not put.ok:
        return Acted(problem="what was kept could not be put back")
    return Acted(
        f"put back {'exactly' if exact else 'nearly'} {key}", outputs={"cache-hit": str(exact).lower()}
    )


def _name(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:40]


def _find(cache: Path, key: str, prefixes: tuple[str, ...]) -> Path | None:
    """The entry of the key, else the newest whose key begins with one of the prefixes, in their order."""
    exact = cache / _name(key)
    if (exact / "key").is_file():
        return exact
    entries = sorted(cache.glob("*/key"), key=lambda one: one.stat().st_mtime, reverse=True)
    keys = {
        one.parent: one.read_text("utf-8", "surrogateescape") for one in entries if "." not in one.parent.name
    }
    for prefix in prefixes:
        for entry, held in keys.items():
            if held.startswith(prefix):
                return entry
    return None


async def _save(lane: Lane, paths: tuple[str, ...], key: str) -> None:
    """Whole or not at all; who was first stays."""
    draft = lane.site.cache / f"{_name(key)}.{secrets.token_hex(4)}"
    (draft / "files").mkdir(parents=True)
    kept = await save(lane, paths, draft / "files")
    (draft / "key").write_text(key, "utf-8", "surrogateescape")
    final = lane.site.cache / _name(key)
    if kept.ok and not final.exists():
        draft.rename(final)
    else:
        await delete_folder(draft)


ACTION = Action(_run)
