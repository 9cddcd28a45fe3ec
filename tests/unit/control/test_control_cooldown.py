"""How long a foreign edit stands before it is undone."""

import pytest

from keyturn.control.cooldown import DriftCooldown
from support.fake_time import FakeTime


@pytest.fixture(name="time")
def _time():
    return FakeTime()


@pytest.fixture(name="cooldown")
def _cooldown(time):
    return DriftCooldown(time)


def record(cooldown, times, key="a"):
    for _ in range(times):
        cooldown.record(key)


@pytest.mark.parametrize("edits", [0, 1, 2])
def test_the_first_edits_are_undone_at_once(cooldown, edits):
    """A user who tries something out sees at once that it does not hold."""
    record(cooldown, edits)

    assert cooldown.delay("a") == 0


@pytest.mark.parametrize(("edits", "delay"), [(3, 0.75), (4, 1.5), (5, 3.0), (6, 6.0), (50, 225.0)])
def test_later_edits_stand_ever_longer(cooldown, edits, delay):
    """Up to a few minutes, however long the fight lasts."""
    record(cooldown, edits)

    assert cooldown.delay("a") == delay


def test_the_delay_is_counted_from_the_last_edit(cooldown, time):
    """It is asked for again and again, and must come to its end."""
    record(cooldown, 4)
    time.advance(1)
    assert cooldown.delay("a") == 0.5

    time.advance(1)
    assert cooldown.delay("a") == 0


def test_edits_are_forgotten_after_ten_quiet_minutes(cooldown, time):
    """The next edit is the first one again."""
    record(cooldown, 9)
    time.advance(601)
    assert cooldown.delay("a") == 0

    record(cooldown, 1)
    assert cooldown.delay("a") == 0


def test_edits_within_ten_minutes_of_each_other_count_together(cooldown, time):
    """A slow fight is a fight, too."""
    for _ in range(4):
        record(cooldown, 1)
        time.advance(599)
    record(cooldown, 1)

    assert cooldown.delay("a") == 3.0


def test_objects_are_counted_by_themselves(cooldown):
    """One that is fought over does not delay another; one that is gone leaves nothing."""
    record(cooldown, 5)
    assert cooldown.delay("b") == 0

    cooldown.forget("a")
    cooldown.forget("never seen")
    assert cooldown.delay("a") == 0
