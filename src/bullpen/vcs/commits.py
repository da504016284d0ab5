"""Commits, merges and branches in a bare repository: no work tree, no shared index, nothing to clean up.

The same input gives the same commit hash: names, dates and messages are always given, never taken from the machine.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.errors import BullpenError, Conflict, InvalidInput, NotFound
from bullpen.vcs.folders import private_index
from bullpen.vcs.git import GitDir, git
from bullpen.vcs.trees import checked, is_hash


@dataclass(frozen=True, slots=True)
class Identity:
    """Who wrote or committed."""

    name: str
    email: str


BULLPEN = Identity("Bullpen", "bullpen@localhost")
MOST_TREES = 1000
_trees: OrderedDict[tuple[str, str], str] = OrderedDict()  # by repository and commit


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit. ``at`` and ``committed_at`` are seconds since 1970; ``message`` is whole, ``subject`` its top."""

    id: str
    tree: str
    parents: tuple[str, ...]
    author: Identity
    at: int
    committer: Identity
    committed_at: int
    message: str

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class BlameLine:
    """Who last changed a line. Lines start at 1."""

    line: int
    commit: str
    author: Identity
    at: int


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch or tag and the commit it leads to."""

    name: str
    commit: str


@dataclass(frozen=True, slots=True)
class CleanMerge:
    """Both sides fit together; ``tree`` holds the result."""

    tree: str


@dataclass(frozen=True, slots=True)
class Conflicted:
    """The sides disagree in ``paths``. ``commit`` is the one that did not fit, when several were applied."""

    paths: tuple[str, ...]
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Rebased:
    """New commits in order; the last one is the new top."""

    commits: tuple[str, ...]


async def resolve_commit(repo: GitDir | Path, revision: str) -> str:
    """The full hash of a branch, tag or abbreviated hash.

    Raises:
        NotFound: it names no commit.
    """
    name = f"{checked(revision)}^{{commit}}"
    result = await git(repo, "rev-parse", "--quiet", "--verify", "--end-of-options", name, accept=(0, 1, 128))
    if result.status:
        raise NotFound(f"There is no commit {revision!r}.")
    return result.text


async def tree_of(repo: GitDir | Path, commit: str) -> str:
    """The hash of the tree of a commit, or of a tree; what a full hash names is asked once."""
    key = (str(repo.path if isinstance(repo, GitDir) else repo), commit)
    if key in _trees:
        return _trees[key]
    tree = (await git(repo, "rev-parse", "--verify", f"{checked(commit)}^{{tree}}")).text
    if is_hash(commit):
        _trees[key] = tree
        if len(_trees) > MOST_TREES:
            _trees.popitem(last=False)
    return tree


async def commit_tree(
    repo: Path,
    tree: str,
    parents: Sequence[str],
    message: str,
    author: Identity,
    at: int,
    *,
    committer: Identity = BULLPEN,
    committed_at: int | None = None,
    signing_key: Path | None = None,
) -> str:
    """Make a commit and return its hash; no branch moves.

    ``at`` is in seconds since 1970. ``signing_key`` is an SSH key without a passphrase; the signature of an Ed25519
    key is the same each time.
    """
    ancestry = [part for parent in parents for part in ("-p", checked(parent))]
    signing = ("-S",) if signing_key else ()
    result = await git(
        _signing(repo, signing_key),
        *("commit-tree", checked(tree), *ancestry, *signing, "-F", "-"),
        stdin=message.encode("utf-8", "surrogateescape"),
        env=_dated("AUTHOR", author, at)
        | _dated("COMMITTER", committer, at if committed_at is None else committed_at),
    )
    return result.text


async def verify_signature(repo: Path, commit: str, allowed_signers: Path) -> bool:
    """Whether the commit carries a good SSH signature of somebody in ``allowed_signers`` (ssh-keygen(1))."""
    place = GitDir(repo, overrides=(*_SSH_SIGNING, ("gpg.ssh.allowedSignersFile", str(allowed_signers))))
    return (await git(place, "verify-commit", checked(commit), accept=(0, 1))).status == 0


async def cherry_pick_tree(repo: Path, commit: str, onto: str) -> CleanMerge | Conflicted:
    """The tree of ``onto`` with what ``commit`` changed against its first parent. Nothing is written but objects."""
    entry = await read_commit(repo, commit)
    if entry.parents[:1] == (onto,):
        return CleanMerge(entry.tree)
    if entry.parents and await _merge_bases(repo, onto, entry.id) == entry.parents[:1]:
        return await merge_commits(repo, onto, entry.id)
    base = await tree_of(repo, entry.parents[0]) if entry.parents else await _empty_tree(repo)
    return await merge_trees(repo, base, await tree_of(repo, onto), entry.tree)


async def merge_trees(repo: Path, base: str, ours: str, theirs: str) -> CleanMerge | Conflicted:
    """Three-way merge of trees, with renames."""
    if base == ours or ours == theirs:
        return CleanMerge(theirs)
    if base == theirs:
        return CleanMerge(ours)
    # git merge-tree takes its base from history, so one is made: two throw-away commits upon a third.
    root = await commit_tree(repo, base, (), "base", BULLPEN, 0)
    left = await commit_tree(repo, ours, (root,), "ours", BULLPEN, 0)
    right = await commit_tree(repo, theirs, (root,), "theirs", BULLPEN, 0)
    return await merge_commits(repo, left, right)


async def merge_commits(repo: Path, ours: str, theirs: str) -> CleanMerge | Conflicted:
    """What merging two commits gives; neither branch moves. Make a commit of the tree with both as parents."""
    result = await git(
        repo,
        *("merge-tree", "--write-tree", "--no-messages", "--name-only", "-z", "--allow-unrelated-histories"),
        *(checked(ours), checked(theirs)),
        accept=(0, 1),
    )
    tree, *paths = result.fields()
    return Conflicted(tuple(path for path in paths if path)) if result.status else CleanMerge(tree)


async def rebase(repo: Path, commits: Sequence[str], onto: str) -> Rebased | Conflicted:
    """Apply ``commits`` in order upon ``onto``, keeping authors, dates and messages. A commit left without change
    is dropped. On a conflict nothing has moved."""
    top = await resolve_commit(repo, onto)
    made: list[str] = []
    for name in commits:
        commit = await read_commit(repo, name)
        merged = await cherry_pick_tree(repo, commit.id, top)
        if isinstance(merged, Conflicted):
            return Conflicted(merged.paths, commit.id)
        if merged.tree != await tree_of(repo, top):
            top = await commit_tree(
                *(repo, merged.tree, (top,), commit.message, commit.author, commit.at),
                committer=commit.committer,
                committed_at=commit.committed_at,
            )
            made.append(top)
    return Rebased(tuple(made))


async def update_ref(repo: Path, ref: str, new: str, expected: str | None) -> None:
    """Move ``ref`` from ``expected`` to ``new``; ``expected`` None means it must not exist yet.

    Raises:
        Conflict: somebody else moved or made it.
        InvalidInput: the name is not allowed.
    """
    await check_ref_name(repo, ref)
    old = checked(expected) if expected else ""
    try:
        await git(repo, "update-ref", "--no-deref", ref, checked(new), old)
    except Conflict as error:
        raise Conflict(
            f"{ref} is not at {expected or 'its beginning'} any more.",
            remedy="Read it again and try once more.",
        ) from error


async def delete_ref(repo: Path, ref: str, expected: str) -> None:
    """Delete ``ref`` if it is still at ``expected``.

    Raises:
        Conflict: it is not.
    """
    await check_ref_name(repo, ref)
    await git(repo, "update-ref", "--no-deref", "-d", ref, checked(expected))


async def check_ref_name(repo: GitDir | Path, ref: str) -> None:
    """Refuse what git would refuse as the name of a ref, and anything outside ``refs/``.

    Raises:
        InvalidInput: it is not a name.
    """
    if ref.startswith("refs/") and "\0" not in ref:
        result = await git(repo, "check-ref-format", ref, accept=(0, 1))
        if result.status == 0:
            return
    raise InvalidInput(f"{ref!r} is not the name of a branch or tag.")


async def branches(repo: GitDir | Path, *, under: str = "refs/heads/") -> tuple[Ref, ...]:
    """Branches by name without ``under``."""
    return await _refs(repo, under)


async def tags(repo: GitDir | Path) -> tuple[Ref, ...]:
    """Tags by name; a signed or annotated one leads to its commit."""
    return await _refs(repo, "refs/tags/")


async def create_tag(repo: Path, name: str, commit: str, message: str, tagger: Identity, at: int) -> None:
    """An annotated tag.

    Raises:
        Conflict: there is one of that name.
    """
    ref = f"refs/tags/{name}"
    await check_ref_name(repo, ref)
    head = f"object {await resolve_commit(repo, commit)}\ntype commit\ntag {name}\n"
    body = (
        f"{head}tagger {_one_line(tagger.name)} <{_one_line(tagger.email)}> {at} +0000\n\n{message.strip()}\n"
    )
    made = await git(repo, "mktag", stdin=body.encode("utf-8", "surrogateescape"))
    await update_ref(repo, ref, made.text, None)


async def read_commit(repo: GitDir | Path, revision: str) -> Commit:
    """One commit.

    Raises:
        NotFound: there is none of that name.
    """
    commit = revision if is_hash(revision) else await resolve_commit(repo, revision)
    return (await log(repo, commit, most=1))[0]


async def log(
    repo: GitDir | Path, revision: str, *, since: str = "", path: str = "", most: int = 1000
) -> tuple[Commit, ...]:
    """Commits from ``revision`` back, newest first; without those of ``since``; only those that changed ``path``."""
    limits = [f"^{checked(since)}"] if since else []
    result = await git(
        repo,
        *("log", "-z", f"--max-count={most}", f"--format={_LOG_FORMAT}", "--no-show-signature"),
        *(checked(revision), *limits, "--", *([path] if path else [])),
    )
    fields = result.fields()
    return tuple(_commit(fields[at : at + 9]) for at in range(0, len(fields), 9))


async def blame(repo: GitDir | Path, commit: str, path: str) -> tuple[BlameLine, ...]:
    """Who last changed each line of a file.

    Raises:
        NotFound: no such file there.
    """
    try:
        result = await git(repo, "blame", "--incremental", checked(commit), "--", path)
    except BullpenError as error:
        raise NotFound(f"There is no file {path!r} at {commit}.") from error
    return _parse_blame(result.stdout.decode("utf-8", "replace"))


async def stash(repo: Path, tree: str, head: str, name: str, at: int) -> str:
    """Keep ``tree``, work that stood upon ``head``, under ``name`` until ``drop_stash``; the hash to find it by."""
    commit = await commit_tree(repo, tree, (head,), f"Work set aside: {name}", BULLPEN, at)
    await update_ref(repo, f"refs/bullpen/stash/{name}", commit, None)
    return commit


async def apply_stash(repo: Path, name: str, onto: str) -> CleanMerge | Conflicted:
    """The tree or commit ``onto`` with the work that was set aside under ``name``."""
    commit = await read_commit(repo, f"refs/bullpen/stash/{name}")
    base = await tree_of(repo, commit.parents[0])
    return await merge_trees(repo, base, await tree_of(repo, onto), commit.tree)


async def drop_stash(repo: Path, name: str) -> None:
    """Forget the work set aside under ``name``."""
    ref = f"refs/bullpen/stash/{name}"
    await delete_ref(repo, ref, await resolve_commit(repo, ref))


async def put_files(repo: Path, tree: str, files: Mapping[str, bytes | None]) -> str:
    """``tree`` with these files written (None: removed); modes of files that are there stay."""
    async with private_index(repo) as place:
        await git(place, "read-tree", checked(tree))
        listed = await git(place, "ls-files", "--stage", "-z")
        modes = {line.partition("\t")[2]: line[:6] for line in listed.fields()}
        lines: list[str] = []
        for path, content in files.items():
            blob = await _store_blob(repo, content) if content is not None else "0" * len(tree)
            lines.append(f"{modes.get(path, '100644') if content is not None else '0'} {blob}\t{path}")
        data = "".join(f"{line}\0" for line in lines).encode("utf-8", "surrogateescape")
        await git(place, "update-index", "-z", "--add", "--index-info", stdin=data)
        return (await git(place, "write-tree")).text


_LOG_FORMAT = "%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn <%ce>%x00%ct%x00%B"
_SSH_SIGNING = (("gpg.format", "ssh"), ("gpg.ssh.program", "ssh-keygen"))


async def _store_blob(repo: Path, content: bytes) -> str:
    return (await git(repo, "hash-object", "-w", "--stdin", stdin=content)).text


async def _merge_bases(repo: Path, one: str, other: str) -> tuple[str, ...]:
    """The best common ancestors; none where the histories have nothing in common."""
    result = await git(repo, "merge-base", "--all", checked(one), checked(other), accept=(0, 1))
    return tuple(result.text.split())


async def _empty_tree(repo: Path) -> str:
    return (await git(repo, "mktree")).text


async def _refs(repo: GitDir | Path, prefix: str) -> tuple[Ref, ...]:
    listed = await git(repo, "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", prefix)
    words = (line.split(" ") for line in listed.text.splitlines())
    return tuple(Ref(name.removeprefix(prefix), peeled or direct) for name, direct, peeled in words)


def _signing(repo: Path, key: Path | None) -> GitDir:
    return GitDir(repo, overrides=(*_SSH_SIGNING, ("user.signingKey", str(key))) if key else ())


def _dated(role: str, who: Identity, at: int) -> dict[str, str]:
    return {
        f"GIT_{role}_NAME": _one_line(who.name),
        f"GIT_{role}_EMAIL": _one_line(who.email),
        f"GIT_{role}_DATE": f"@{at} +0000",
    }


def _one_line(text: str) -> str:
    """Git's identities hold no angle brackets, NULs or line ends."""
    return "".join(sign for sign in text if sign not in "<>\n\r\0") or "unknown"


def _commit(fields: Sequence[str]) -> Commit:
    identifier, tree, parents, name, email, at, committer, committed_at, message = fields
    committer_name, _, committer_email = committer.removesuffix(">").partition(" <")
    return Commit(
        id=identifier,
        tree=tree,
        parents=tuple(parents.split()),
        author=Identity(name, email),
        at=int(at),
        committer=Identity(committer_name, committer_email),
        committed_at=int(committed_at),
        message=message,
    )


def _parse_blame(text: str) -> tuple[BlameLine, ...]:
    """Groups end with ``filename``; what is known of a commit is said with its first group only."""
    known: dict[str, dict[str, str]] = {}
    groups: list[tuple[str, int, int]] = []
    commit = ""
    for line in text.split("\n"):
        key, _, value = line.partition(" ")
        numbers = value.split()
        if len(key) in (40, 64) and len(numbers) == 3 and all(number.isdigit() for number in numbers):
            commit = key
            groups.append((commit, int(numbers[1]), int(numbers[2])))
        elif commit:
            known.setdefault(commit, {})[key] = value
    lines = (
        _blame_line(line, commit, known.get(commit, {}))
        for commit, first, count in groups
        for line in range(first, first + count)
    )
    return tuple(sorted(lines, key=lambda entry: entry.line))


def _blame_line(line: int, commit: str, facts: Mapping[str, str]) -> BlameLine:
    author = Identity(facts.get("author", ""), facts.get("author-mail", "").strip("<>"))
    return BlameLine(line, commit, author, int(facts.get("author-time", "0")))
