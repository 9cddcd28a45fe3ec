import pytest

from keyturn.base.overtime import AFTER, Overtime
from support.fake_time import FakeTime


@pytest.fixture
def time():
    return FakeTime()


def test_a_place_is_released_once_whenever_the_work_ends(time):
    """Twice would make room that is not there, and never would lose it."""
    released = []
    overtime = Overtime(at_most=lambda: 1, time=time)

    with overtime.watch(lambda: released.append("quick")):
        time.advance(AFTER / 2)
        assert released == []
    assert released == ["quick"]
    with overtime.watch(lambda: released.append("late")):
        time.advance(AFTER)
        assert released == ["quick", "late"]
    time.advance(100)
    assert released == ["quick", "late"]


def test_no_more_work_than_permitted_goes_on_beside_that_which_has_a_place(time):
    """The others keep their places."""
    released = []
    overtime = Overtime(at_most=lambda: 1, time=time)

    with overtime.watch(lambda: released.append("first")), overtime.watch(lambda: released.append("second")):
        time.advance(100)
        assert released == ["first"]
    with overtime.watch(lambda: released.append("third")):
        time.advance(100)
        assert released == ["first", "second", "third"]


def test_work_that_fails_releases_its_place(time):
    """A failure is an end, too."""
    released = []

    def fail():
        with Overtime(at_most=lambda: 1, time=time).watch(lambda: released.append(1)):
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fail()

    assert released == [1]
