"""The connections of clients: which one has to go when there are too many."""

from hypothesis import given
from hypothesis import strategies as st

from keyturn.broker.clients import Client, Clients
from support.broker_context import broker_metrics


class Table:
    """Four clients at most, and what was closed."""

    def __init__(self, most=4):
        self.metrics = broker_metrics()
        self.clients = Clients(most=most, metrics=self.metrics)
        self.closed = []

    def come(self, name, address="a"):
        client = Client(address, lambda: self.closed.append(name))
        return client if self.clients.add(client) else None

    def counted(self, name, **labels):
        return self.metrics.registry.get_sample_value(name, labels)


def test_the_one_that_is_idle_for_longest_makes_room():
    """Somebody new is more likely to ask something."""
    table = Table()
    one, two, *_ = [table.come(name) for name in "1234"]
    table.clients.begin(one)
    table.clients.end(one)
    table.clients.begin(two)
    table.come("5")
    table.come("6")

    assert table.closed == ["3", "4"]
    assert len(table.clients) == 4
    assert table.counted("keyturn_broker_connections") == 4
    assert table.counted("keyturn_broker_connections_closed_total", reason="too_many") == 2


def test_whoever_has_most_loses_one():
    """A flood from one address closes its own connections, and nobody else's."""
    table = Table()
    table.come("other", "b")
    for number in range(20):
        table.come(f"flood {number}")

    assert "other" not in table.closed
    assert len(table.closed) == 17


def test_a_request_under_way_is_never_closed():
    """If all are busy, a new one has to wait outside."""
    table = Table()
    clients = [table.come(name) for name in "1234"]
    for client in clients:
        table.clients.begin(client)

    assert table.come("5") is None
    assert table.closed == []
    assert table.clients.busy == 4
    table.clients.end(clients[0])
    assert table.come("6") is not None
    assert table.closed == ["1"]


def test_the_idle_ones_end_first_and_all_in_the_end():
    """As at the end of the process."""
    table = Table()
    busy, _ = table.come("busy"), table.come("idle")
    table.clients.begin(busy)
    table.clients.close_idle()
    assert table.closed == ["idle"]
    table.clients.close_all()
    table.clients.end(busy)

    assert table.closed == ["idle", "busy"]
    assert len(table.clients) == 0


@given(st.lists(st.tuples(st.sampled_from(["come", "begin", "end", "go"]), st.integers(0, 9), st.sampled_from("abc"))))
def test_the_table_never_holds_more_than_it_may_nor_forgets_anybody(steps):
    """Whatever clients do."""
    table, present = Table(), []
    for what, number, address in steps:
        client = present[number % len(present)] if present else None
        if what == "come":
            came = table.come(str(len(present)), address)
            present += [came] if came is not None else []
        elif client is not None and client in table.clients._all:
            {"begin": table.clients.begin, "end": table.clients.end, "go": table.clients.remove}[what](client)
        idle = {each for group in table.clients._idle.values() for each in group}
        assert len(table.clients) <= 4
        assert idle == {each for each in table.clients._all if not each.busy}
        assert all(table.clients._idle.values())
