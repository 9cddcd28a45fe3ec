import itertools
import json

import pytest
from cluster_fakes import Chunks, ScriptedTransport, status
from hypothesis import given
from hypothesis import strategies as st

from keyturn.cluster.backoff import full_jitter
from keyturn.cluster.errors import Forbidden, Gone, Unavailable
from keyturn.cluster.gateway import Cluster
from keyturn.cluster.resources import SECRETS
from keyturn.cluster.transport import TransportError
from keyturn.cluster.watching import BadStream, LineSplitter, WatchEvent, parse_event


@given(st.lists(st.binary(max_size=12)), st.lists(st.integers(0, 60)))
def test_lines_do_not_depend_on_how_the_chunks_fall(parts, cuts):
    """Any stream cut anywhere gives the same lines."""
    stream = b"\n".join(parts) + b"\n"
    marks = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    chunks = [stream[start:end] for start, end in itertools.pairwise(marks)]
    splitter = LineSplitter()

    found = [line for chunk in chunks for line in splitter.feed(chunk)]
    assert found == [line for line in stream.split(b"\n") if line.strip()]


def test_a_line_without_end_is_refused():
    """Memory is bounded, however long the server goes on."""
    splitter = LineSplitter(longest=100)
    assert list(splitter.feed(b"x" * 100)) == []

    with pytest.raises(BadStream):
        list(splitter.feed(b"x"))


def test_the_limit_is_per_line():
    """Many lines together may be longer."""
    splitter = LineSplitter(longest=10)

    assert len([line for _ in range(50) for line in splitter.feed(b"1234567\n89")]) == 50


def test_an_event_is_read():
    """Type, object, and where in history it lies."""
    event = parse_event(b'{"type": "ADDED", "object": {"metadata": {"resourceVersion": "7"}}}')

    assert event == WatchEvent("ADDED", {"metadata": {"resourceVersion": "7"}})
    assert event.resource_version == "7"
    assert parse_event(b'{"type": "BOOKMARK", "object": {}}').resource_version == ""


@given(st.binary(max_size=40))
def test_what_is_no_event_is_refused_without_a_quote(line):
    """The error holds nothing of the line, and is chained to nothing that does."""
    with pytest.raises(BadStream) as refused:
        parse_event(b"{canary" + line)

    assert "canary" not in str(refused.value)
    assert refused.value.__context__ is None


async def watch(*script):
    cluster = Cluster(ScriptedTransport(*script))
    seen = []
    try:
        async with cluster.watch(SECRETS, "apps", resource_version="1") as events:
            async for event in events:
                seen.append(event.type)  # noqa: PERF401 - what was seen before a failure counts too
    finally:
        assert cluster._caller._transport.open_streams == 0
    return seen


def line(kind, **obj):
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


async def test_a_stream_cut_in_the_middle_of_a_line_ends_like_any_other():
    """The half line is sent again by the next watch."""
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
    ids=["gone", "error event", "nonsense", "broken", "silent", "refused", "gone at once", "forbidden"],
)
async def test_every_end_of_a_watch_is_one_of_our_errors(step, kind):
    """And the connection is closed each time."""
    with pytest.raises(kind):
        await watch(step)


async def test_leaving_a_watch_early_closes_it():
    """A consumer that has seen enough leaves no connection behind."""
    cluster = Cluster(ScriptedTransport(Chunks([line("ADDED"), None])))
    async with cluster.watch(SECRETS, "apps", resource_version="1") as events:
        async for _ in events:
            break

    assert cluster._caller._transport.open_streams == 0


@given(st.integers(0, 5000), st.floats(0, 1, exclude_max=True), st.floats(0.01, 10), st.floats(10, 1000))
def test_waits_stay_within_a_bound_that_doubles(attempt, chance, base, cap):
    """From zero to the base, doubling with each failure, never above the cap."""
    bound = min(cap, base * 2 ** max(0, min(attempt - 1, 30)))

    assert 0 <= full_jitter(attempt, chance, base=base, cap=cap) <= bound


@pytest.mark.parametrize(("attempt", "seconds"), [(0, 1), (1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (9999, 60)])
def test_waits_double_up_to_a_minute(attempt, seconds):
    """The longest possible wait after so many failures."""
    assert full_jitter(attempt, 1.0) == seconds
