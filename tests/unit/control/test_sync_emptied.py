"""Items that lost all values, and for how long their Secrets are kept."""

import pytest

from keyturn.control.sync.emptied import EmptiedItems
from keyturn.core.request import Key, SecretRequest
from support.fake_time import FakeTime


def request(name, connection="installation"):
    return SecretRequest(
        key=Key("app", name), uid=name, generation=1, item_path="vaults/v/items/i", connection=connection
    )


@pytest.fixture(name="time")
def _time():
    return FakeTime()


def test_one_emptied_item_is_confirmed_by_a_look_half_a_minute_later(time):
    """Looks before that confirm nothing, however many there are."""
    items = EmptiedItems(time, hold=30.0, total=lambda _: 100)

    left = []
    for _ in range(4):
        left.append(items.remaining(request("a")))
        time.advance(10.0)
    assert left == [30.0, 20.0, 10.0, 0.0]


def test_many_emptied_items_are_held_as_a_whole(time):
    """A vault that lost its content is likelier than people who clear a tenth of it at once."""
    items = EmptiedItems(time, hold=30.0, total=lambda _: 60)
    requests = [request(f"s{number}") for number in range(60)]
    for each in requests:
        items.remaining(each)
        time.advance(0.1)

    time.advance(30.0)
    assert all(items.remaining(each) > 500 for each in requests)
    time.advance(570.0)
    assert [items.remaining(each) for each in requests] == [0.0] * 60


def test_a_mass_that_shrinks_is_a_mass_no_longer(time):
    """Most items have values again: the few that do not were probably meant."""
    items = EmptiedItems(time, hold=30.0, total=lambda _: 60)
    requests = [request(f"s{number}") for number in range(60)]
    for each in requests:
        items.remaining(each)
    time.advance(40.0)
    for each in requests[2:]:
        items.clear(each.key)

    assert [items.remaining(each) for each in requests[:2]] == [0.0, 0.0]


def test_connections_do_not_count_for_each_other(time):
    """One tenant's vault is no reason to hold another's."""
    items = EmptiedItems(time, hold=30.0, total=lambda _: 10)
    for number in range(10):
        items.remaining(request(f"s{number}", "other"))

    assert items.remaining(request("a")) == 30.0
