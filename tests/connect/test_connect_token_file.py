"""A token in a file that changes under us, as a kubelet changes mounted Secrets."""

import os

import pytest
from connect_servers import client_of, serving

from keyturn.providers.connect import BadToken, TokenFile, TokenRefused


class Clock:
    """Seconds that pass when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def source(tmp_path, clock):
    path = tmp_path / "token"
    path.write_text("first\n")
    return TokenFile(path, clock=clock)


def test_a_new_token_is_seen_within_a_second(source, clock):
    """The file is looked at once a second at most."""
    assert source.current() == "first"
    source.path.write_text("second-token")

    clock.now = 0.9
    assert source.current() == "first"
    clock.now = 1.0
    assert source.current() == "second-token"


def test_an_unchanged_file_is_not_read_again(source, clock, monkeypatch):
    """The stamp of the file is enough: device, inode, time, size."""
    source.current()
    monkeypatch.setattr(type(source), "_read", lambda _: pytest.fail("read again"))

    for second in range(10):
        clock.now = float(second)
        assert source.current() == "first"


def test_a_swapped_link_is_a_new_file(tmp_path, clock):
    """A kubelet writes a new folder and swaps one symbolic link."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(name)
    link = tmp_path / "data"
    link.symlink_to("one")
    source = TokenFile(link / "token", clock=clock)
    assert source.current() == "one"

    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(link)
    clock.now = 1.0

    assert source.current() == "two"


def test_a_change_that_the_stamp_hides_is_found_when_the_token_is_refused(source):
    """Same size, same inode, same tick of the clock: a refusal reads whatever the stamp says."""
    source.current()
    status = source.path.stat()
    source.path.write_text("other\n")
    os.utime(source.path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert source.renew()
    assert source.current() == "other"
    assert not source.renew()


@pytest.mark.parametrize("damage", ["unlink", "empty", "broken"])
def test_damage_changes_nothing_until_the_token_is_refused(source, clock, damage):
    """A file may vanish for a moment; the known token is good until the server says otherwise."""
    source.current()
    if damage == "unlink":
        source.path.unlink()
    else:
        source.path.write_text("" if damage == "empty" else "a b")
    clock.now = 5.0
    assert source.current() == "first"

    with pytest.raises(BadToken):
        source.renew()
    source.path.write_text("third")
    clock.now = 6.0
    assert source.current() == "third"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"eyJ hbG", "whitespace inside"),
        (b"\xff\xfe", "characters that no token has"),
        (b"x" * 100_000, "too large"),
    ],
)
def test_a_file_without_a_token_is_a_clear_error(tmp_path, content, problem):
    """Named by its path, never by its content, and looked for again at once."""
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    source = TokenFile(path, clock=Clock())

    with pytest.raises(BadToken, match=problem) as caught:
        source.current()
    assert str(path) in str(caught.value)
    assert "hbG" not in str(caught.value)
    assert caught.value.__context__ is None

    path.write_bytes(b"good")
    assert source.current() == "good"


def test_a_token_file_shows_its_path_only(source):
    """Its repr is safe to log."""
    source.current()

    assert "first" not in repr(source)
    assert str(source.path) in repr(source)


async def test_a_rotated_token_needs_no_restart(tmp_path):
    """Connect's tokens cannot be edited, only replaced: the old one is refused, the file has the new one."""
    path = tmp_path / "token"
    path.write_text("old")
    good, seen = "old", []

    async def play(connection):
        while head := await connection.request():
            seen.append(next(line for line in head.splitlines() if line.lower().startswith("authorization")))
            if seen[-1].endswith(f" {good}"):
                await connection.answer([])
            else:
                await connection.answer({"status": 401, "message": "Invalid bearer token"}, status=401)

    pauses = []

    async def rotate(seconds):
        pauses.append(seconds)
        path.write_text("new")

    async with serving(play) as server, client_of(server.url, token=TokenFile(path)) as client:
        client._sender._sleep = rotate
        await client.vaults()
        good = "new"
        await client.vaults()
        good = "neither"
        with pytest.raises(TokenRefused):
            await client.vaults()

    assert [line.split()[-1] for line in seen] == ["old", "old", "new", "new", "new"]
    assert all(1.0 <= pause < 2.0 for pause in pauses)
