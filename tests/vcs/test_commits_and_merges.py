"""Commits, merges, rebases, tags and stashes in a bare repository."""

import asyncio
import subprocess

import pytest

from bullpen.domain.errors import Conflict, InvalidInput, NotFound
from bullpen.vcs.commits import (
    BULLPEN,
    CleanMerge,
    Conflicted,
    Identity,
    Rebased,
    apply_stash,
    blame,
    branches,
    cherry_pick_tree,
    commit_tree,
    create_tag,
    delete_ref,
    drop_stash,
    log,
    merge_commits,
    merge_trees,
    put_files,
    read_commit,
    rebase,
    resolve_commit,
    stash,
    tags,
    tree_of,
    update_ref,
    verify_signature,
)
from bullpen.vcs.git import git
from bullpen.vcs.mirror import fetch_mirror
from bullpen.vcs.repositories import add_remote, clone, init_repository, remotes, remove_remote
from bullpen.vcs.source import open_source
from bullpen.vcs.trees import list_tree, read_blobs, read_file

pytestmark = pytest.mark.req("GIT-01")

ANN = Identity("Ann", "ann@example.org")
TEXT = "".join(f"line {number}\n" for number in range(20)).encode()


@pytest.fixture
async def repo(tmp_path):
    place = await init_repository(tmp_path / "repo.git", bare=True)
    return place.path


async def commit(repo, parents, message="change", at=1, **files):
    """A commit with these files changed against its first parent."""
    tree = await tree_of(repo, parents[0]) if parents else await empty_tree(repo)
    changed = {name.replace("__", "."): content for name, content in files.items()}
    return await commit_tree(repo, await put_files(repo, tree, changed), parents, message, ANN, at)


async def empty_tree(repo):
    return (await git(repo, "mktree")).text


async def test_the_same_input_gives_the_same_hash(repo, tmp_path):
    other = (await init_repository(tmp_path / "other.git", bare=True)).path
    made = [await commit(place, (), "title\n\nbody é\n", a__py=b"1\n") for place in (repo, other, repo)]
    assert len(set(made)) == 1
    read = await read_commit(repo, made[0])
    assert (read.subject, read.message, read.author, read.at) == ("title", "title\n\nbody é\n", ANN, 1)
    assert (read.committer, read.committed_at, read.parents) == (BULLPEN, 1, ())


async def test_files_keep_their_modes_and_may_go(repo):
    first = await commit(repo, (), a=b"1", b=b"2")
    tree = await put_files(repo, await tree_of(repo, first), {"a": None, "deep/c\nd": b"3"})
    assert [(e.path, e.mode) for e in await list_tree(repo, tree)] == [
        ("b", "100644"),
        ("deep/c\nd", "100644"),
    ]


async def test_cherry_picks_that_fit(repo):
    base = await commit(repo, (), a=TEXT, b=TEXT)
    left = await commit(repo, (base,), a=TEXT.replace(b"line 2\n", b"left\n"))
    right = await commit(repo, (base,), a=TEXT.replace(b"line 17\n", b"right\n"), c=b"new\n")
    merged = await cherry_pick_tree(repo, right, left)
    assert isinstance(merged, CleanMerge)
    both = TEXT.replace(b"line 2\n", b"left\n").replace(b"line 17\n", b"right\n")
    assert await read_file(repo, merged.tree, "a") == both
    assert await read_file(repo, merged.tree, "c") == b"new\n"
    assert await cherry_pick_tree(repo, right, base) == CleanMerge(await tree_of(repo, right))


async def test_cherry_picking_takes_one_commit_and_not_its_ancestors(repo):
    base = await commit(repo, (), a=TEXT)
    middle = await commit(repo, (base,), b=b"not this\n")
    top = await commit(repo, (middle,), c=b"this\n")
    merged = await cherry_pick_tree(repo, top, base)
    assert isinstance(merged, CleanMerge)
    assert [entry.path for entry in await list_tree(repo, merged.tree)] == ["a", "c"]


async def test_cherry_picking_a_first_commit(repo):
    first = await commit(repo, (), a=b"1\n")
    other = await commit(repo, (), b=b"2\n")
    merged = await cherry_pick_tree(repo, first, other)
    assert isinstance(merged, CleanMerge)
    assert [entry.path for entry in await list_tree(repo, merged.tree)] == ["a", "b"]


async def test_conflicts_name_their_paths(repo):
    base = await commit(repo, (), a=TEXT, b=TEXT)
    left = await commit(repo, (base,), a=TEXT.replace(b"line 2\n", b"left\n"))
    right = await commit(repo, (base,), a=TEXT.replace(b"line 2\n", b"right\n"), b=None)
    assert await cherry_pick_tree(repo, right, left) == Conflicted(("a",))
    assert await merge_commits(repo, left, right) == Conflicted(("a",))
    gone = await commit(repo, (base,), a=None)
    assert await merge_trees(
        repo, await tree_of(repo, base), await tree_of(repo, gone), await tree_of(repo, left)
    ) == Conflicted(("a",))


async def test_renames_are_followed(repo):
    base = await commit(repo, (), old=TEXT)
    moved = await commit(repo, (base,), old=None, new=TEXT)
    edited = await commit(repo, (base,), old=TEXT.replace(b"line 9\n", b"edited\n"))
    merged = await cherry_pick_tree(repo, edited, moved)
    assert isinstance(merged, CleanMerge)
    assert await read_file(repo, merged.tree, "new") == TEXT.replace(b"line 9\n", b"edited\n")


async def test_rebasing_keeps_authors_and_drops_what_is_there_already(repo):
    base = await commit(repo, (), a=TEXT)
    one = await commit(repo, (base,), "one", at=11, b=b"1\n")
    two = await commit(repo, (one,), "two", at=12, c=b"2\n")
    onto = await commit(repo, (base,), "same as one", at=20, b=b"1\n")
    result = await rebase(repo, [one, two], onto)
    assert isinstance(result, Rebased)
    assert len(result.commits) == 1
    top = await read_commit(repo, result.commits[-1])
    assert (top.subject, top.at, top.author, top.parents) == ("two", 12, ANN, (onto,))
    assert await rebase(repo, [one, two], onto) == result


async def test_a_rebase_that_does_not_fit_says_where(repo):
    base = await commit(repo, (), a=b"0\n")
    one = await commit(repo, (base,), b=b"1\n")
    two = await commit(repo, (one,), a=b"2\n")
    onto = await commit(repo, (base,), a=b"3\n")
    assert await rebase(repo, [one, two], onto) == Conflicted(("a",), two)


async def test_a_ref_moves_only_from_where_it_was_seen(repo):
    first = await commit(repo, (), a=b"1")
    second = await commit(repo, (first,), a=b"2")
    await update_ref(repo, "refs/heads/work", first, None)
    with pytest.raises(Conflict):
        await update_ref(repo, "refs/heads/work", second, None)
    await update_ref(repo, "refs/heads/work", second, first)
    with pytest.raises(Conflict, match="is not at"):
        await update_ref(repo, "refs/heads/work", second, first)
    assert [(ref.name, ref.commit) for ref in await branches(repo)] == [("work", second)]
    with pytest.raises(Conflict):
        await delete_ref(repo, "refs/heads/work", first)
    await delete_ref(repo, "refs/heads/work", second)
    assert await branches(repo) == ()


async def test_of_many_who_move_a_ref_at_once_one_wins(repo):
    start = await commit(repo, (), a=b"0")
    await update_ref(repo, "refs/heads/work", start, None)
    rivals = [await commit(repo, (start,), at=number) for number in range(5)]
    moves = (update_ref(repo, "refs/heads/work", rival, start) for rival in rivals)
    ends = await asyncio.gather(*moves, return_exceptions=True)
    winners = [rival for rival, end in zip(rivals, ends, strict=True) if end is None]
    assert [await resolve_commit(repo, "refs/heads/work")] == winners
    assert all(isinstance(end, Conflict) for end in ends if end is not None)


@pytest.mark.parametrize(
    "name", ["HEAD", "refs/heads/../x", "refs/heads/a b", "-d", "refs/heads/x.lock", "refs/"]
)
async def test_names_that_are_no_refs_are_refused(repo, name):
    first = await commit(repo, (), a=b"1")
    with pytest.raises(InvalidInput):
        await update_ref(repo, name, first, None)


async def test_tags(repo):
    first = await commit(repo, (), a=b"1")
    await create_tag(repo, "v1.0", first, "First release", ANN, 5)
    assert [(tag.name, tag.commit) for tag in await tags(repo)] == [("v1.0", first)]
    assert await resolve_commit(repo, "v1.0") == first
    with pytest.raises(Conflict):
        await create_tag(repo, "v1.0", first, "again", ANN, 6)


async def test_the_log_stops_where_it_is_told(repo):
    first = await commit(repo, (), "first", a=b"1")
    second = await commit(repo, (first,), "", b=b"2")
    third = await commit(repo, (second,), "third\n\x02odd\n", a=b"3")
    assert [entry.id for entry in await log(repo, third)] == [third, second, first]
    assert [entry.id for entry in await log(repo, third, since=first)] == [third, second]
    assert [entry.id for entry in await log(repo, third, path="b")] == [second]
    assert [entry.message for entry in await log(repo, third, most=2)] == ["third\n\x02odd\n", ""]
    with pytest.raises(NotFound):
        await resolve_commit(repo, "nowhere")


async def test_blame(repo):
    first = await commit(repo, (), at=1, a=b"one\ntwo\nthree\n")
    second = await commit(repo, (first,), at=2, a=b"one\n2\nthree\nfour\n")
    lines = await blame(repo, second, "a")
    assert [(line.line, line.commit, line.at) for line in lines] == [
        *((1, first, 1), (2, second, 2), (3, first, 1), (4, second, 2))
    ]
    assert lines[0].author == ANN
    with pytest.raises(NotFound):
        await blame(repo, second, "nowhere")


async def test_work_set_aside_comes_back_on_top_of_newer_work(repo):
    base = await commit(repo, (), a=TEXT)
    work = await put_files(repo, await tree_of(repo, base), {"a": TEXT.replace(b"line 3\n", b"work\n")})
    await stash(repo, work, base, "item-1", 9)
    newer = await commit(repo, (base,), b=b"newer\n")
    applied = await apply_stash(repo, "item-1", newer)
    assert isinstance(applied, CleanMerge)
    assert b"work\n" in await read_file(repo, applied.tree, "a")
    assert await read_file(repo, applied.tree, "b") == b"newer\n"
    with pytest.raises(Conflict):
        await stash(repo, work, base, "item-1", 9)
    await drop_stash(repo, "item-1")
    with pytest.raises(NotFound):
        await apply_stash(repo, "item-1", newer)


async def test_signed_commits(repo, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)  # noqa: ASYNC221
    public = (tmp_path / "key.pub").read_text()
    (tmp_path / "allowed").write_text(f"bullpen@localhost {public}")
    (tmp_path / "nobody").write_text("")
    tree = await tree_of(repo, await commit(repo, (), a=b"1"))
    made = [
        await commit_tree(repo, tree, (), "signed", ANN, 1, signing_key=tmp_path / "key") for _ in range(2)
    ]
    plain = await commit_tree(repo, tree, (), "signed", ANN, 1)
    assert made[0] == made[1] != plain
    assert await verify_signature(repo, made[0], tmp_path / "allowed")
    assert not await verify_signature(repo, made[0], tmp_path / "nobody")
    assert not await verify_signature(repo, plain, tmp_path / "allowed")


async def test_reading_files_and_blobs(repo):
    first = await commit(repo, (), a=b"one\r\n\0", b=b"")
    blobs = {entry.path: entry.blob for entry in await list_tree(repo, first)}
    found = await read_blobs(repo, [*blobs.values(), "0" * 40])
    assert [found[blobs[name]] for name in "ab"] == [b"one\r\n\0", b""]
    with pytest.raises(NotFound, match="no file 'c'"):
        await read_file(repo, first, "c")


async def test_clones_shallow_and_partial(user, tmp_path):
    user.git("config", "uploadpack.allowFilter", "true")
    shallow = await clone(str(user.path), tmp_path / "shallow", depth=1)
    assert len(await log(shallow, "HEAD")) == 1
    assert (tmp_path / "shallow" / "a.py").read_text() == "x = 1\ny = 3\n"
    partial = await clone(str(user.path), tmp_path / "partial", without_blobs=True, bare=True)
    assert len(await log(partial, "HEAD")) == 2
    with pytest.raises(NotFound):
        await read_file(partial, "HEAD", "a.py")
    with pytest.raises(Conflict, match="is not empty"):
        await clone(str(user.path), tmp_path / "partial")


async def test_remotes(repo):
    await add_remote(repo, "origin", "https://example.org/x.git")
    with pytest.raises(Conflict):
        await add_remote(repo, "origin", "https://example.org/y.git")
    assert [(one.name, one.url) for one in await remotes(repo)] == [("origin", "https://example.org/x.git")]
    await remove_remote(repo, "origin")
    assert await remotes(repo) == ()


async def test_many_tasks_commit_in_one_mirror(user, tmp_path):
    mirror = await fetch_mirror(await open_source(str(user.path)), tmp_path / "mirrors")
    made = await asyncio.gather(
        *(commit(mirror.path, (mirror.base,), at=number, **{f"f{number}": b"x"}) for number in range(6))
    )
    for number, one in enumerate(made):
        names = [entry.path for entry in await list_tree(mirror.path, one)]
        assert names == ["README.md", "a.py", f"f{number}"]
    assert not list(mirror.path.glob("index.*"))


async def test_names_are_read_anew_and_hashes_once(repo):
    first = await commit(repo, [], a__txt=b"1")
    await update_ref(repo, "refs/heads/main", first, None)
    assert await tree_of(repo, "refs/heads/main") == await tree_of(repo, first)
    second = await commit(repo, [first], a__txt=b"2")
    await update_ref(repo, "refs/heads/main", second, first)
    assert await tree_of(repo, "refs/heads/main") == await tree_of(repo, second) != await tree_of(repo, first)
    assert [entry.blob for entry in await list_tree(repo, "refs/heads/main")] != [
        entry.blob for entry in await list_tree(repo, first)
    ]
    assert await list_tree(repo, first) is await list_tree(repo, first)


async def test_a_hash_of_nothing_is_not_found(repo):
    with pytest.raises(NotFound):
        await read_commit(repo, "1" * 40)
