"""What the process does before the work begins."""

import logging
from importlib.metadata import version

import pytest

from keyturn import app
from keyturn.cluster.errors import Forbidden, TooManyRequests, Unavailable
from keyturn.providers.connect import CONNECT
from keyturn.settings import Settings
from support.fake_time import FakeTime

SETTINGS = Settings(provider=CONNECT, provider_settings=None, watch_namespaces=("a", "b"))


class Definition:
    """What the API server answers about the definition, in turn; the last answer is repeated."""

    def __init__(self, *answers, pruned=False):
        self.answers = list(answers)
        self.pruned = pruned

    async def served(self, _cluster):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def is_pruned(self, _cluster, _field, *, time):
        return self.pruned


@pytest.fixture
def prepare(monkeypatch):
    async def run(definition, time=None):
        monkeypatch.setattr(app, "crd_served", definition.served)
        monkeypatch.setattr(app, "is_pruned", definition.is_pruned)
        await app._prepare(SETTINGS, None, time=time or FakeTime())

    return run


async def test_the_work_begins_when_the_api_server_serves_our_objects(prepare, caplog):
    """One line says which namespaces are served."""
    caplog.set_level(logging.INFO)
    await prepare(Definition(True))

    assert caplog.messages == [f"Keyturn {version('keyturn')} serves a, b"]


async def test_a_busy_api_server_is_waited_for(prepare, caplog):
    """With growing pauses, or the pause that the server asks for, which is capped; the log has one line for all of it."""
    caplog.set_level(logging.INFO)
    time = FakeTime()
    busy = TooManyRequests("busy", retry_after=100_000.0)
    await prepare(Definition(Unavailable("down"), Unavailable("still down"), busy, True), time)

    assert time.slept == [0.75, 1.5, 60.0]
    assert caplog.messages[0] == "The API server cannot be asked, so the work begins later: down"
    assert caplog.messages[1] == "The API server is back after 62 s"
    assert len(caplog.messages) == 3


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        (Definition(False), "is not installed in this cluster: kubectl apply -f crds/"),
        (Definition(True, pruned=True), "lacks fields of the status"),
        (Definition(Forbidden("you may not read it")), "you may not read it"),
    ],
    ids=["absent", "official", "forbidden"],
)
async def test_what_only_a_human_can_end_ends_the_process(prepare, definition, reason):
    """With one line, and no exception behind it."""
    with pytest.raises(app.StartError, match=reason) as caught:
        await prepare(definition)

    assert "\n" not in str(caught.value)
    assert caught.value.__context__ is None
