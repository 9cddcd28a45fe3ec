"""The connections of clients: how many there may be, and which one has to go when there are too many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keyturn.observe.broker_metrics import BrokerMetrics
from keyturn.observe.broker_rows import ClosedBecause


@dataclass(slots=True, eq=False)
class Client:
    """One connection.

    Attributes:
        address: of the other end, without its port.
        close: ends the connection at once.
        busy: whether a request of it is under way.
        is_new: whether nothing has been done with it yet.
    """

    address: str
    close: Callable[[], None]
    busy: bool = False
    is_new: bool = True


class Clients:
    """Keeps connections below a number. Idle ones make room for new ones, those of the address that has most of them first.

    So whoever opens thousands of connections and sends nothing only closes their own.

    Args:
        most: how many there may be.
        metrics: counts them.
    """

    def __init__(self, *, most: int, metrics: BrokerMetrics) -> None:
        self._most = most
        self._metrics = metrics
        self._all: set[Client] = set()
        # In the order in which they became idle.
        self._idle: dict[str, dict[Client, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    @property
    def busy(self) -> int:
        """How many have a request under way."""
        return sum(each.busy for each in self._all)

    def add(self, client: Client) -> bool:
        """Add a connection that was just accepted. Returns whether there is room; if not, it must be closed."""
        if len(self._all) >= self._most and not self.close_one():
            self._metrics.client_closed(ClosedBecause.TOO_MANY)
            return False
        self._all.add(client)
        self._put_idle(client)
        self._metrics.clients(len(self._all))
        return True

    def remove(self, client: Client) -> None:
        """A connection has ended."""
        self._all.discard(client)
        self._take_idle(client)
        self._metrics.clients(len(self._all))

    def begin(self, client: Client) -> None:
        """A request is under way."""
        client.busy = True
        self._take_idle(client)

    def end(self, client: Client) -> None:
        """The request has been answered."""
        client.busy = False
        if client in self._all:
            self._put_idle(client)

    def close_one(self, because: ClosedBecause = ClosedBecause.TOO_MANY) -> bool:
        """Close an idle connection to make room. Returns whether there was one."""
        if not self._idle:
            return False
        address = max(self._idle, key=lambda each: len(self._idle[each]))
        client = next(iter(self._idle[address]))
        self.remove(client)
        self._metrics.client_closed(because)
        client.close()
        return True

    def close_idle(self) -> None:
        """Close all idle connections."""
        for client in [each for each in self._all if not each.busy]:
            self.remove(client)
            client.close()

    def close_all(self) -> None:
        """Close all connections."""
        for client in tuple(self._all):
            self.remove(client)
            client.close()

    def _put_idle(self, client: Client) -> None:
        self._idle.setdefault(client.address, {})[client] = None

    def _take_idle(self, client: Client) -> None:
        idle = self._idle.get(client.address)
        if idle is not None and client in idle:
            del idle[client]
            if not idle:
                del self._idle[client.address]
