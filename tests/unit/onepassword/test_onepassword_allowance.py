"""How many requests may be spent on repeats."""

from keyturn.providers.onepassword.allowance import Allowance
from support.fake_time import FakeTime


def test_an_allowance_is_spent_and_grows_again():
    """One more for each interval, and never more than at the beginning."""
    time = FakeTime()
    allowance = Allowance(most=2, every=10.0, time=time)

    assert [allowance.take() for _ in range(3)] == [True, True, False]
    time.advance(9.0)
    assert allowance.take() is False
    time.advance(1.5)
    assert [allowance.take() for _ in range(2)] == [True, False]
    time.advance(1000.0)
    assert [allowance.take() for _ in range(3)] == [True, True, False]
