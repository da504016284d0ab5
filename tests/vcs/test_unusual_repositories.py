"""Every kind of repository a person may point at: a clear sentence, or a sensible path."""

import asyncio
import os

import pytest

from bullpen.domain.errors import UnusableRepository
from bullpen.vcs.mirror import fetch_mirror
from bullpen.vcs.source import SourceKind, open_source
from bullpen.vcs.trees import lfs_pointers, list_tree, outside_links, read_file, submodules

pytestmark = [pytest.mark.req("IMP-05"), pytest.mark.req("GIT-01")]

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"


async def mirrored(where, tmp_path):
    source = await open_source(str(where))
    return source, await fetch_mirror(source, tmp_path / "mirrors")


async def test_an_ordinary_checkout(user):
    source = await open_source(str(user.path))
    assert (source.kind, source.name, source.branch, source.dirty) == (
        SourceKind.CHECKOUT,
        "project",
        "main",
        0,
    )
    assert source.head == user.git("rev-parse", "HEAD")
    assert source.path == user.path
    assert not source.shallow


async def test_a_folder_inside_leads_to_the_top(user):
    user.write("deep/er/file", "x")
    assert (await open_source(str(user.path / "deep" / "er"))).path == user.path
    assert (await open_source(str(user.path / ".git"))).path == user.path
    assert (await open_source(user.path.as_uri())).path == user.path


async def test_uncommitted_changes_are_counted_and_left_out(user, tmp_path):
    user.write("a.py", "changed\n")
    user.write("new/one.py", "1\n")
    user.write("new/two.py", "2\n")
    user.git("rm", "--cached", "--quiet", "README.md")
    source, mirror = await mirrored(user.path, tmp_path)
    assert source.dirty == 5  # README.md twice: gone from the index, there in the folder
    assert await read_file(mirror.path, mirror.base, "a.py") == b"x = 1\ny = 3\n"


async def test_a_bare_repository(user, tmp_path):
    user.git("clone", "--quiet", "--bare", str(user.path), str(tmp_path / "bare.git"))
    source, mirror = await mirrored(tmp_path / "bare.git", tmp_path)
    assert (source.kind, source.name, source.dirty) == (SourceKind.BARE, "bare", 0)
    assert mirror.base == source.head


async def test_a_linked_worktree_has_its_own_head_and_the_same_mirror(user, tmp_path):
    user.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "linked"), "HEAD~1")
    linked, mirror = await mirrored(tmp_path / "linked", tmp_path)
    _, same = await mirrored(user.path, tmp_path)
    assert linked.branch == "other"
    assert linked.head == user.git("rev-parse", "HEAD~1")
    assert (mirror.path, mirror.base) == (same.path, linked.head)
    assert same.base == user.git("rev-parse", "HEAD")


async def test_a_detached_head(user, tmp_path):
    user.git("checkout", "--quiet", "--detach")
    tip = user.commit("on no branch", b__py="1\n")
    source, mirror = await mirrored(user.path, tmp_path)
    assert source.detached
    assert mirror.base == tip
    assert await read_file(mirror.path, tip, "b.py") == b"1\n"


async def test_a_shallow_clone(user, tmp_path):
    user.git("clone", "--quiet", "--depth=1", user.path.as_uri(), str(tmp_path / "shallow"))
    source, mirror = await mirrored(tmp_path / "shallow", tmp_path)
    assert source.shallow
    assert [entry.path for entry in await list_tree(mirror.path, mirror.base)] == ["README.md", "a.py"]
    user.commit("later", c__py="1\n")
    user.git("-C", str(tmp_path / "shallow"), "fetch", "--quiet", "--depth=1")
    user.git("-C", str(tmp_path / "shallow"), "reset", "--quiet", "--hard", "origin/main")
    _, again = await mirrored(tmp_path / "shallow", tmp_path)
    assert again.base == user.git("rev-parse", "HEAD")


async def test_a_partial_clone_is_refused_with_its_remedy(user, tmp_path):
    user.git("config", "uploadpack.allowFilter", "true")
    options = ("--quiet", "--filter=blob:none", "--no-checkout")
    user.git("clone", *options, user.path.as_uri(), str(tmp_path / "partial"))
    with pytest.raises(UnusableRepository, match="is a partial clone") as refused:
        await open_source(str(tmp_path / "partial"))
    assert "Clone it in full" in refused.value.remedy


async def test_no_commits_yet(make_repository):
    with pytest.raises(UnusableRepository, match="has no commits yet"):
        await open_source(str(make_repository().path))


async def test_an_unborn_branch_beside_others(user):
    user.git("checkout", "--quiet", "--orphan", "new")
    with pytest.raises(UnusableRepository, match=r"HEAD of .* names no commit"):
        await open_source(str(user.path))


async def test_not_a_repository(tmp_path):
    with pytest.raises(UnusableRepository, match="is not in a git repository"):
        await open_source(str(tmp_path))


async def test_no_such_folder_and_a_file(user):
    with pytest.raises(UnusableRepository, match="does not exist"):
        await open_source(str(user.path / "nowhere"))
    with pytest.raises(UnusableRepository, match="is not a folder"):
        await open_source(str(user.path / "a.py"))


async def test_a_link_in_a_circle_and_a_name_too_long(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for where in (tmp_path / "loop", tmp_path / ("x" * 300)):
        with pytest.raises(UnusableRepository, match=r"cannot be opened|does not exist"):
            await open_source(str(where))


async def test_a_damaged_repository(user):
    (user.path / ".git" / "HEAD").write_text("nonsense\n")
    with pytest.raises(UnusableRepository):
        await open_source(str(user.path))


async def test_a_damaged_index_and_a_missing_object(user, tmp_path):
    whole = (user.path / ".git" / "index").read_bytes()
    (user.path / ".git" / "index").write_bytes(b"DIRC" + bytes(60))
    with pytest.raises(UnusableRepository):
        await open_source(str(user.path))
    (user.path / ".git" / "index").write_bytes(whole)
    old = user.git("rev-parse", "HEAD~1:a.py")
    (user.path / ".git" / "objects" / old[:2] / old[2:]).unlink()
    with pytest.raises(UnusableRepository, match="cannot be copied"):
        await mirrored(user.path, tmp_path)


async def test_a_damaged_configuration(user):
    (user.path / ".git" / "config").write_text("[core\n")
    with pytest.raises(UnusableRepository, match="bad config line"):
        await open_source(str(user.path))


async def test_a_git_file_that_points_nowhere(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / ".git").write_text("gitdir: /nowhere\n")
    with pytest.raises(UnusableRepository, match="points to a git directory that is not there"):
        await open_source(str(tmp_path / "broken"))


def test_no_permission_is_said_in_a_sentence(user):
    """Root may read everything, so a child process becomes somebody else first."""
    user.path.chmod(0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if os.getuid() == 0:
            os.setgroups([])
            os.setuid(65534)
        try:
            asyncio.run(open_source(str(user.path)))
        except UnusableRepository as error:
            os.write(writing, f"{error.sentence} {error.remedy}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    said = os.read(reading, 4096).decode()
    os.close(reading)
    user.path.chmod(0o700)
    assert said.endswith("may not be read. Check its permissions.")


@pytest.mark.needs("root")
async def test_a_repository_of_another_user(user, tmp_path):
    for path in [user.path, *user.path.rglob("*")]:
        os.lchown(path, 65534, 65534)
    source, mirror = await mirrored(user.path, tmp_path)
    assert mirror.base == source.head


async def test_names_that_are_not_text(make_repository, tmp_path):
    repository = make_repository()
    names = [
        b"caf\xe9.py",
        b"new\nline.py",
        b'quo"te\\.py',
        b"-dash.py",
        b" space .py",
        b"tab\t.py",
        b":(glob)*",
    ]
    for name in names:
        (repository.path / os.fsdecode(name)).write_bytes(name)
    repository.commit("odd")
    source, mirror = await mirrored(repository.path, tmp_path)
    listed = await list_tree(mirror.path, mirror.base, sizes=True)
    assert sorted(os.fsencode(entry.path) for entry in listed) == sorted(names)
    for entry in listed:
        assert await read_file(mirror.path, mirror.base, entry.path) == os.fsencode(entry.path)
        assert entry.size == len(os.fsencode(entry.path))
    assert source.dirty == 0


async def test_a_folder_whose_own_name_is_odd(make_repository, tmp_path):
    repository = make_repository("pro ject 'é\udce9*")
    tip = repository.commit("one", a="1")
    source, mirror = await mirrored(repository.path, tmp_path)
    assert (source.name, mirror.base) == ("pro ject 'é\udce9*", tip)


async def test_submodules_are_named_and_not_entered(user, make_repository, tmp_path):
    library = make_repository("library")
    pinned = library.commit("lib", lib__py="1\n")
    user.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.path), "vendor/lib"
    )
    user.commit("with a submodule")
    user.write("vendor/lib/lib.py", "dirty\n")
    source, mirror = await mirrored(user.path, tmp_path)
    assert source.submodules == ("vendor/lib",)
    assert source.dirty == 0
    found = await submodules(mirror.path, mirror.base)
    assert [(one.path, one.commit, one.url) for one in found] == [("vendor/lib", pinned, str(library.path))]


async def test_a_submodule_opened_by_itself(user, make_repository, tmp_path):
    library = make_repository("library")
    pinned = library.commit("lib", lib__py="1\n")
    user.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.path), "lib")
    source, mirror = await mirrored(user.path / "lib", tmp_path)
    assert (source.path, mirror.base) == (user.path / "lib", pinned)


async def test_repositories_inside_the_repository(user, make_repository):
    make_repository("project/inner").commit("inner", x="1")
    make_repository("project/tmp/empty")
    source = await open_source(str(user.path))
    assert source.nested == ("inner", "tmp/empty")
    assert source.head == user.git("rev-parse", "HEAD")
    assert (await open_source(str(user.path / "inner"))).name == "inner"


async def test_lfs_pointers_are_seen(user, tmp_path):
    user.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    user.write("model.bin", POINTER)
    user.write("notes.txt", "version 1\n")
    user.commit("lfs")
    source, mirror = await mirrored(user.path, tmp_path)
    assert source.has_lfs
    assert await lfs_pointers(mirror.path, mirror.base) == ("model.bin",)


async def test_links_that_leave_the_tree_are_seen(user, tmp_path):
    user.write("deep/file", "x")
    links = {
        "passwd": "/etc/passwd",
        "up": "../x",
        "deep/ok": "../a.py",
        "deep/out": "../../x",
        "dangling": "no/where",
    }
    for name, target in links.items():
        (user.path / name).symlink_to(target)
    user.commit("links")
    _, mirror = await mirrored(user.path, tmp_path)
    assert await outside_links(mirror.path, mirror.base) == ("deep/out", "passwd", "up")


async def test_lines_that_end_in_carriage_returns(user, tmp_path):
    user.write("dos.txt", b"one\r\ntwo\r\n")
    user.write(".gitattributes", "* text eol=crlf\n*.raw -text\n")
    user.write("dos.raw", b"one\r\ntwo\n")
    user.commit("line ends")
    _, mirror = await mirrored(user.path, tmp_path)
    assert await read_file(mirror.path, mirror.base, "dos.txt") == b"one\ntwo\n"
    assert await read_file(mirror.path, mirror.base, "dos.raw") == b"one\r\ntwo\n"


@pytest.mark.slow
async def test_a_hundred_thousand_files(make_repository, tmp_path):
    repository = make_repository()
    blob = repository.git("hash-object", "-w", "--stdin", stdin=b"x = 1\n")
    lines = "".join(f"100644 {blob}\tpkg{n // 1000}/mod{n}.py\n" for n in range(100_000))
    repository.git("update-index", "--index-info", stdin=lines.encode())
    tree = repository.git("write-tree")
    repository.git("update-ref", "HEAD", repository.git("commit-tree", tree, "-m", "many"))
    source, mirror = await mirrored(repository.path, tmp_path)
    assert source.dirty == 100_000  # none of them is checked out
    assert len(await list_tree(mirror.path, mirror.base)) == 100_000


async def test_a_repository_of_sha256_hashes(make_repository, tmp_path):
    repository = make_repository("new", "--object-format=sha256")
    tip = repository.commit("one", a="1")
    source, mirror = await mirrored(repository.path, tmp_path)
    assert len(tip) == 64
    assert mirror.base == source.head == tip


@pytest.mark.parametrize(
    "where",
    [
        *(
            "",
            "-x",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c true",
            "fd::17",
            "http://example.org/x",
            "ftp://h/x",
        ),
        *("ssh://-oProxyCommand=x/y", "https:///x", "file://host/x", "a\nb", "-host:path", "host:-path"),
    ],
)
async def test_places_that_are_refused_unread(where):
    with pytest.raises(UnusableRepository):
        await open_source(where)
