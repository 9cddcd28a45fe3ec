"""The stream of a watch: lines, events, and each way in which it ends."""

import itertools
from typing import cast

import pytest
from cluster_fakes import Chunks, ScriptedTransport, scripted_cluster, status, watch_line
from hypothesis import given
from hypothesis import strategies as st

from keyturn.cluster.errors import Forbidden, Gone, Unavailable
from keyturn.cluster.resources import SECRETS
from keyturn.cluster.transport import TransportError
from keyturn.cluster.watching import BadStream, LineSplitter, WatchEvent, parse_event


@given(st.lists(st.binary(max_size=12)), st.lists(st.integers(0, 60)))
def test_lines_do_not_depend_on_how_the_chunks_fall(parts, cuts):
    """A stream that is cut anywhere makes the same lines."""
    stream = b"\n".join(parts) + b"\n"
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    chunks = [stream[start:end] for start, end in itertools.pairwise(places)]
    splitter = LineSplitter()

    found = [line for chunk in chunks for line in splitter.feed(chunk)]
    assert found == [line for line in stream.split(b"\n") if line.strip()]


def test_a_line_without_end_is_refused():
    """Memory stays bounded, however much the server sends."""
    splitter = LineSplitter(longest=100)
    assert list(splitter.feed(b"x" * 100)) == []

    with pytest.raises(BadStream):
        list(splitter.feed(b"x"))


def test_the_limit_is_per_line():
    """Many lines together may be longer than it."""
    splitter = LineSplitter(longest=10)

    assert len([line for _ in range(50) for line in splitter.feed(b"1234567\n89")]) == 50


def test_an_event_is_read():
    """It has a type, an object, and a place in history."""
    event = parse_event(b'{"type": "ADDED", "object": {"metadata": {"resourceVersion": "7"}}}')

    assert event == WatchEvent("ADDED", {"metadata": {"resourceVersion": "7"}})
    assert event.resource_version == "7"
    assert parse_event(b'{"type": "BOOKMARK", "object": {}}').resource_version == ""


@given(st.binary(max_size=40))
def test_a_line_that_is_no_event_is_refused_without_a_quote(line):
    """Neither the error nor its context holds anything of the line."""
    with pytest.raises(BadStream) as refused:
        parse_event(b"{canary" + line)

    assert "canary" not in str(refused.value)
    assert refused.value.__context__ is None


async def watch(*script):
    cluster = scripted_cluster(*script)
    seen = []
    try:
        async with cluster.watch(SECRETS, "apps", resource_version="1") as events:
            async for event in events:
                seen.append(event.type)  # noqa: PERF401 - events before a failure count, too
    finally:
        assert cast("ScriptedTransport", cluster._caller._transport).open_streams == 0
    return seen


def line(kind, **obj):
    return watch_line(kind, obj)


async def test_a_stream_cut_in_the_middle_of_a_line_ends_like_any_other():
    """The next watch sends the event again."""
    assert await watch(Chunks([line("ADDED"), line("MODIFIED")[:20]])) == ["ADDED"]


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (Chunks([line("ERROR", code=410, reason="Expired")]), Gone),
        (Chunks([line("ERROR", code=500, reason="InternalError")]), Unavailable),
        (Chunks([line("ADDED"), b"<html>\n"]), Unavailable),
        (Chunks([TransportError("ClientPayloadError")]), Unavailable),
        (Chunks([TransportError("no answer in time", timed_out=True)]), Unavailable),
        (TransportError("ClientConnectorError"), Unavailable),
        (status(410, "Expired"), Gone),
        (status(403, "Forbidden"), Forbidden),
    ],
    ids=["gone", "error event", "nonsense", "broken", "idle", "refused", "gone at once", "forbidden"],
)
async def test_each_failure_of_a_watch_is_one_of_our_errors(step, kind):
    """The connection is closed each time, and the error keeps nothing of what was received."""
    with pytest.raises(kind) as failed:
        await watch(step)
    assert failed.value.__cause__ is None
    assert failed.value.__context__ is None


async def test_leaving_a_watch_early_closes_it():
    """No connection stays open."""
    cluster = scripted_cluster(Chunks([line("ADDED"), None]))
    async with cluster.watch(SECRETS, "apps", resource_version="1") as events:
        async for _ in events:
            break

    assert cast("ScriptedTransport", cluster._caller._transport).open_streams == 0
