import asyncio
import gzip
import tracemalloc
import zlib

import pytest
from connect_fakes import Chunks
from hypothesis import given
from hypothesis import strategies as st

from keyturn.providers.bodies import TooMuch, Undecodable, collect


def cut(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(st.binary(max_size=3000), st.integers(1, 700), st.sampled_from(["", "identity", "gzip", "x-gzip"]))
def test_a_body_arrives_whole_however_it_is_cut(body, size, encoding):
    """Chunk borders, compression and several gzip members make no difference."""
    half = len(body) // 2
    sent = body if encoding in {"", "identity"} else gzip.compress(body[:half]) + gzip.compress(body[half:])

    assert body == asyncio.run(collect(Chunks(cut(sent, size)), encoding=encoding, limit=len(body)))


@given(st.binary(min_size=1, max_size=3000), st.integers(1, 700), st.sampled_from(["", "gzip"]))
def test_one_byte_more_than_allowed_is_too_much(body, size, encoding):
    """The cap counts decoded bytes, exactly."""
    sent = gzip.compress(body) if encoding else body

    with pytest.raises(TooMuch):
        asyncio.run(collect(Chunks(cut(sent, size)), encoding=encoding, limit=len(body) - 1))


async def test_reading_stops_at_the_limit():
    """The bytes beyond the limit are never read."""
    chunks = Chunks([b"x" * 10] * 100)

    with pytest.raises(TooMuch):
        await collect(chunks, encoding="", limit=25)

    assert chunks.given == 3


async def test_a_bomb_is_never_decoded():
    """A chunk that would inflate to 50 MiB costs no more memory than the cap."""
    bomb = gzip.compress(bytes(50 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(TooMuch):
            await collect(Chunks([bomb]), encoding="gzip", limit=1024 * 1024)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize(
    ("sent", "encoding"),
    [
        (gzip.compress(b"hello" * 100)[:-9], "gzip"),
        (b"no gzip at all", "gzip"),
        (gzip.compress(b"hello") + b"rest", "gzip"),
        (zlib.compress(b"hello"), "deflate"),
        (b"hello", "br"),
        (b"hello", "gzip, gzip"),
    ],
    ids=["cut", "not gzip", "tail", "deflate", "br", "twice"],
)
async def test_what_cannot_be_decoded_is_refused(sent, encoding):
    """Damage and encodings that were not offered are errors, never half a body."""
    with pytest.raises(Undecodable):
        await collect(Chunks([sent]), encoding=encoding, limit=1000)


async def test_an_empty_body_is_empty_whatever_its_encoding():
    """Proxies mark empty answers as gzip."""
    assert await collect(Chunks([]), encoding="gzip", limit=0) == b""
