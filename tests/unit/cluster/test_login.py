from kubernetes.aio.client import Configuration

from keyturn.cluster.access import Access


class Asked:
    """An access whose clock and sleep are ours."""

    def __init__(self):
        self.now = 100.0
        self.waits = []
        self.access = Access(
            Configuration(host="https://kube.example"),
            in_cluster=True,
            namespace="ops",
            clock=lambda: self.now,
            sleep=self._sleep,
            chance=lambda: 0.5,
        )

    async def _sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


async def test_the_first_login_and_a_late_one_are_answered_at_once():
    """Who comes back after two minutes comes because the credentials expired."""
    asked = Asked()
    await asked.access.log_in()
    asked.now += 120
    await asked.access.log_in()

    assert asked.waits == []


async def test_who_comes_back_at_once_waits_ever_longer():
    """A token that the API server refuses is not tried without a pause, and never less than every half minute."""
    asked = Asked()
    for _ in range(9):
        await asked.access.log_in()

    assert asked.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


async def test_a_login_that_held_wipes_the_slate():
    """An hour later a refusal is the first again."""
    asked = Asked()
    for pause in (0, 0, 0, 3600, 0):
        asked.now += pause
        await asked.access.log_in()

    assert asked.waits == [0.5, 1.0, 0.5]
