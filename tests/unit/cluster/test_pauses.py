"""Long sleeps show life to a watchdog."""

import pytest

from keyturn.cluster.pauses import sleep_beating
from support.fake_time import FakeTime


@pytest.mark.parametrize(
    ("seconds", "pieces"),
    [(0.0, [0.0]), (7.0, [7.0]), (30.0, [30.0]), (65.0, [30.0, 30.0, 5.0])],
    ids=["none", "short", "half a minute", "long"],
)
async def test_a_long_sleep_beats_twice_a_minute(seconds, pieces):
    """Each piece but the last ends with a beat; after the last one, the caller goes on."""
    time = FakeTime()
    beats = []
    await sleep_beating(seconds, time=time, on_beat=lambda: beats.append(time.monotonic()))

    assert time.slept == pieces
    assert len(beats) == len(pieces) - 1
