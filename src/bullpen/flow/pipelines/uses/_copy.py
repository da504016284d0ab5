"""Copying between a checkout and a folder, inside the sandbox: what a job left is never handled outside."""

from pathlib import Path

from bullpen.flow.pipelines.uses.base import Lane
from bullpen.sandbox.base import Mount, Outcome

STORE = "/opt/bullpen/store"
COLLECT = r"""
shopt -s globstar nullglob dotglob
IFS=
found=0
for pattern in "$@"; do
  for path in $pattern; do
    [ -e "$path" ] || continue
    if [ -d "$path" ]; then cp -a -- "$path/." /opt/bullpen/store/; else cp -a -- "$path" /opt/bullpen/store/; fi
    found=$((found + 1))
  done
done
echo "$found"
"""
_SAVE = 'n=0; for path in "$@"; do case $path in "~"*) path=$HOME${path#"~"};; esac; if [ -e "$path" ]; then mkdir -p /opt/bullpen/store/$n && cp -a -- "$path/." /opt/bullpen/store/$n/ 2>/dev/null || cp -a -- "$path" /opt/bullpen/store/$n; fi; n=$((n+1)); done'
_RESTORE = 'n=0; for path in "$@"; do case $path in "~"*) path=$HOME${path#"~"};; esac; if [ -d /opt/bullpen/store/$n ]; then mkdir -p "$path" && cp -a -- /opt/bullpen/store/$n/. "$path/"; fi; n=$((n+1)); done'


async def collect(lane: Lane, patterns: tuple[str, ...], target: Path) -> Outcome:
    """Copy what matches into ``target``; how many matched is the last line of the output."""
    argv = ("/bin/bash", "-c", COLLECT, "collect", *patterns)
    return await lane.run(argv, mounts=(Mount(target, STORE, writable=True),))


async def hand_out(lane: Lane, source: Path, folder: str) -> Outcome:
    """Copy the content of ``source`` into a folder of the checkout."""
    script = 'mkdir -p -- "$1" && cp -a -- /opt/bullpen/store/. "$1/"'
    return await lane.run(("/bin/sh", "-c", script, "sh", folder or "."), mounts=(Mount(source, STORE),))


async def save(lane: Lane, paths: tuple[str, ...], target: Path) -> Outcome:
    """Keep folders, numbered, in ``target``."""
    return await lane.run(
        ("/bin/sh", "-c", _SAVE, "sh", *paths), mounts=(Mount(target, STORE, writable=True),)
    )


async def restore(lane: Lane, paths: tuple[str, ...], source: Path) -> Outcome:
    """Put folders kept by ``save`` back."""
    return await lane.run(("/bin/sh", "-c", _RESTORE, "sh", *paths), mounts=(Mount(source, STORE),))
