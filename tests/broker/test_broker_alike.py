"""Nobody can tell an item that is not granted from one that does not exist: neither by the answer nor by its time."""

import random
import time

import pytest

from support.broker import VAULT

pytestmark = pytest.mark.cluster

READS = 160
"""Of each kind. The bucket of an identity is smaller, so that many ask in turn."""

CALLERS = 12


def ranks_differ(one, other):
    """How unlikely it is that two samples have one distribution, in standard deviations (the rank sum test of Mann and Whitney)."""
    ordered = sorted([(each, 0) for each in one] + [(each, 1) for each in other])
    ranks = sum(rank for rank, (_, which) in enumerate(ordered, 1) if which == 0)
    sizes = len(one), len(other)
    mean = sizes[0] * (sum(sizes) + 1) / 2
    deviation = (sizes[0] * sizes[1] * (sum(sizes) + 1) / 12) ** 0.5
    return abs(ranks - mean) / deviation


@pytest.fixture(scope="module")
def clients(brokering):
    """Many service accounts with the same rights: to one field of one of two items, of the same vault."""
    brokering.put_item("mine", {"password": "canary", "username": "canary"})
    brokering.put_item("others", {"password": "canary"})
    names = [f"ci-{number}" for number in range(CALLERS)]
    brokering.grant("deploy", "mine", to=names)
    made = [brokering.broker.client(brokering.token(name)) for name in names]
    yield made
    for client in made:
        client.close()


@pytest.mark.parametrize(
    ("not_granted", "not_there"),
    [
        (f"op://{VAULT}/others/password", f"op://{VAULT}/nowhere/password"),
        (f"op://{VAULT}/mine/username", f"op://{VAULT}/mine/nothing"),
    ],
    ids=["item", "field"],
)
def test_not_granted_and_not_there_are_alike(clients, not_granted, not_there):
    """Status, headers and body are the same, and the times are of one distribution, as far as hundreds of reads can show."""
    kinds = [not_granted, not_there] * READS
    # In a random order: whatever else the machine does hits both alike.
    random.Random(7).shuffle(kinds)
    times = {not_granted: [], not_there: []}
    answers = set()
    for number, kind in enumerate(kinds):
        client = clients[number % CALLERS]
        began = time.perf_counter()
        answer = client.get("/v1/read", params={"ref": kind})
        times[kind].append(time.perf_counter() - began)
        headers = tuple(sorted((key, value) for key, value in answer.headers.items() if key != "date"))
        answers.add((answer.status_code, headers, answer.content))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 404
    # By chance alone, one run in 16,000 has more than four.
    assert ranks_differ(times[not_granted], times[not_there]) < 4.0


def test_the_test_would_notice(clients):
    """A read that asks the vault is told from one that does not by the same means."""
    granted, not_granted = [], []
    for number in range(2 * READS):
        client = clients[number % CALLERS]
        name, times = ("mine", granted) if number % 2 else ("others", not_granted)
        began = time.perf_counter()
        client.get("/v1/read", params={"ref": f"op://{VAULT}/{name}/password"})
        times.append(time.perf_counter() - began)
    assert ranks_differ(granted, not_granted) > 6.0


def test_guessing_names_finds_nothing(clients, brokering):
    """Whoever tries the titles and ids of all items learns of those alone that are granted."""
    state = brokering.connect.state()
    vault = next(each for each in state["vaults"] if each["name"] == VAULT)
    found = []
    for name in ("mine", "others", "nowhere", *[each["id"] for each in vault["contents"]]):
        answer = clients[0].post("/v1/resolve", json={"refs": [f"op://{VAULT}/{name}/password"]})
        found += [name] if "value" in answer.json()["results"][0] else []
    assert len(found) == 2
    assert found[0] == "mine"
