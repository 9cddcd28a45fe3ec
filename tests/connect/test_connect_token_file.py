"""A token in a file that changes at any moment, as a kubelet changes mounted Secrets."""

import os

import pytest
from connect_servers import client_of, serving

from keyturn.providers.connect import BadToken, TokenFile, TokenRefused
from support.fake_time import FakeTime


@pytest.fixture
def time():
    return FakeTime()


@pytest.fixture
def source(tmp_path, time):
    path = tmp_path / "token"
    path.write_text("first\n")
    return TokenFile(path, time=time)


def test_a_new_token_is_seen_within_a_second(source, time):
    """The file is looked at once a second at most."""
    assert source.current() == "first"
    source.path.write_text("second-token")

    time.advance(0.9)
    assert source.current() == "first"
    time.advance(0.1)
    assert source.current() == "second-token"


def test_an_unchanged_file_is_not_read_again(source, time, monkeypatch):
    """The stamp of the file is enough: device, inode, time, size."""
    source.current()
    monkeypatch.setattr(type(source), "_read", lambda _: pytest.fail("read again"))

    for _ in range(10):
        time.advance(1)
        assert source.current() == "first"


def test_the_stamp_shows_that_a_file_may_hold_another_token(source):
    """Also while there is none: its arrival must be noticed without a request."""
    before = source.stamp()
    assert source.stamp() == before
    source.path.unlink()
    assert source.stamp() == ()

    source.path.write_text("second-token")
    assert source.stamp() not in {before, ()}


def test_a_swapped_link_is_a_new_file(tmp_path, time):
    """A kubelet writes a new folder and swaps one symbolic link."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(name)
    link = tmp_path / "data"
    link.symlink_to("one")
    source = TokenFile(link / "token", time=time)
    assert source.current() == "one"

    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(link)
    time.advance(1)

    assert source.current() == "two"


def test_a_change_that_the_stamp_hides_is_found_when_the_token_is_refused(source):
    """Same size, same inode, same tick of the clock: after a refusal the file is read whatever its stamp is."""
    source.current()
    status = source.path.stat()
    source.path.write_text("other\n")
    os.utime(source.path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert source.renew()
    assert source.current() == "other"
    assert not source.renew()


@pytest.mark.parametrize("damage", ["unlink", "empty", "broken"])
def test_damage_changes_nothing_until_the_token_is_refused(source, time, damage):
    """A file may vanish for a moment; the known token is used until the server refuses it."""
    source.current()
    if damage == "unlink":
        source.path.unlink()
    else:
        source.path.write_text("" if damage == "empty" else "a b")
    time.advance(5)
    assert source.current() == "first"

    with pytest.raises(BadToken):
        source.renew()
    source.path.write_text("third")
    time.advance(1)
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
    """The error names its path, never its content, and the next call reads it again."""
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    source = TokenFile(path, time=FakeTime())

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


async def test_a_rotated_token_needs_no_restart(tmp_path, time):
    """Connect's tokens cannot be changed, only replaced: the old one is refused while the file has the new one."""
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

    async with serving(play) as server, client_of(server.url, token=TokenFile(path, time=time)) as client:
        await client.vaults()
        path.write_text("new")
        good = "new"
        await client.vaults()
        good = "neither"
        with pytest.raises(TokenRefused):
            await client.vaults()

    assert [line.split()[-1] for line in seen] == ["old", "old", "new", "new"]
