"""What a soak says of a run is true: each kind of wrong restart and of growing memory is noticed, and nothing else is."""

from base64 import b64encode

import pytest

from support.soak.history import SecretState, WorkloadState
from support.soak.ledger import Ledger, changes_of
from support.soak.memory import Sample, lives
from support.soak.schedule import Plan, schedule
from support.soak.verdict import bad_lines

MIB = 1024 * 1024
KEYS = ("password", "username")
FIRST, SECOND = "aaaa-1", "bbbb-1"


def secret(version, revision, *, uid=FIRST, item_version=None, owes=False, item="x", **data):
    values = {"password": "one", "username": "app", **data}
    encoded = {key: b64encode(value.encode()).decode() for key, value in values.items()}
    about = {"item": item, "item_version": item_version or str(revision), "owes": owes, "seen_at": 1000.0 + version}
    return SecretState(version, uid, encoded, revision, **about)


def workload(version, *stamps, uid="w", created_at=0.0):
    return WorkloadState(version, uid, created_at, (str(version) if stamps else "", ",".join(stamps)))


def ledger(secrets, workloads, *, uses=("password",)):
    changes = {"s": changes_of("s", secrets, keys=KEYS, everything=KEYS)}
    found = Ledger()
    found.judge("web", workloads, {"s": uses}, changes)
    return found


def numbers(found):
    return found.owed, found.made, found.lost, found.double, found.needless


TWO = [secret(1, 1), secret(5, 2, password="two")]
THREE = [*TWO, secret(7, 3, password="three")]
OLD = workload(2)


@pytest.mark.parametrize(
    ("secrets", "workloads", "expected"),
    [
        pytest.param(TWO, [OLD, workload(6, "s=aaaa.2")], (1, 1, 0, 0, 0), id="one change, one restart"),
        pytest.param(TWO, [OLD], (1, 0, 1, 0, 0), id="a lost restart"),
        pytest.param(
            TWO, [OLD, workload(6, "s=aaaa.2"), workload(8, "s=aaaa.2")], (1, 2, 0, 1, 0), id="a restart made twice"
        ),
        pytest.param(TWO[:1], [OLD, workload(6, "s=aaaa.1")], (0, 1, 0, 0, 1), id="a restart for nothing"),
        pytest.param(
            [secret(1, 1), secret(5, 2, username="other")],
            [OLD, workload(6, "s=aaaa.2")],
            (0, 1, 0, 0, 1),
            id="a restart for a key that the workload does not use",
        ),
        pytest.param(THREE, [OLD, workload(8, "s=aaaa.3")], (2, 1, 0, 0, 0), id="one restart for two changes"),
        pytest.param(
            THREE,
            [OLD, workload(6, "s=aaaa.2"), workload(8, "s=aaaa.3")],
            (2, 2, 0, 0, 0),
            id="a restart for each of two changes",
        ),
        pytest.param(THREE, [OLD, workload(6, "s=aaaa.2")], (2, 1, 1, 0, 0), id="the second restart is lost"),
        pytest.param(
            [secret(1, 1), secret(7, 3, password="three")],
            [OLD, workload(6, "s=aaaa.2"), workload(8, "s=aaaa.3")],
            (1, 2, 0, 0, 0),
            id="a state of the Secret that nobody saw",
        ),
        pytest.param(TWO, [workload(6, created_at=1010.0)], (0, 0, 0, 0, 0), id="a workload that came after the change"),
        pytest.param(
            TWO,
            [workload(6, created_at=1010.0), workload(7, "s=aaaa.2")],
            (0, 1, 0, 0, 1),
            id="a restart of a workload that came after the change",
        ),
        pytest.param(TWO, [OLD, None], (0, 0, 0, 0, 0), id="a workload that is gone needs no restart"),
        pytest.param(
            TWO,
            [OLD, workload(6, "s=aaaa.2"), None, workload(9, uid="v", created_at=1009.0)],
            (0, 1, 0, 0, 0),
            id="a workload that is created again has seen all",
        ),
        pytest.param(
            [secret(1, 1), secret(3, 1, password="foreign-"), secret(5, 1)],
            [OLD],
            (0, 0, 0, 0, 0),
            id="a repair owes nothing",
        ),
        pytest.param(
            [secret(1, 1), secret(3, 1, password="foreign-"), secret(5, 1)],
            [OLD, workload(6, "s=aaaa.1")],
            (0, 1, 0, 0, 1),
            id="a restart after a repair",
        ),
        pytest.param(
            [secret(1, 1), secret(3, 1, password="foreign-"), secret(5, 2)],
            [OLD, workload(6, "s=aaaa.2")],
            (0, 1, 0, 0, 0),
            id="an edit by others under a new version may cost a restart",
        ),
        pytest.param(
            [secret(1, 1), secret(5, 1, password="two")], [OLD], (1, 0, 1, 0, 0), id="a change without a revision"
        ),
        pytest.param(
            [secret(1, 1), None, secret(5, 1, uid=SECOND)], [OLD], (0, 0, 0, 0, 0), id="recreated with the same values"
        ),
        pytest.param(
            [secret(1, 1), None, secret(105, 1, uid=SECOND)],
            [OLD, workload(106, "s=bbbb.1")],
            (0, 1, 0, 0, 1),
            id="a restart for a Secret that is recreated with the same values",
        ),
        pytest.param(
            [secret(1, 1), None, secret(5, 1, uid=SECOND)],
            [OLD, workload(6, "s=bbbb.1")],
            (0, 1, 0, 0, 0),
            id="the same of a Secret that was deleted right after it was written",
        ),
        pytest.param(
            [secret(1, 1), None, secret(5, 1, uid=SECOND, item_version="2", password="two")],
            [OLD, workload(6, "s=bbbb.1")],
            (1, 1, 0, 0, 0),
            id="recreated with other values",
        ),
        pytest.param(
            [*TWO[:1], secret(5, 2, password="two", owes=True), None, secret(8, 1, uid=SECOND, item_version="2", password="two")],
            [OLD, workload(6, "s=aaaa.2"), workload(9, "s=bbbb.1")],
            (1, 2, 0, 0, 0),
            id="deleted while restarts were pending",
        ),
        pytest.param(
            [secret(1, 1), None, secret(5, 1, uid=SECOND, item="y", password="two")],
            [OLD],
            (0, 0, 0, 0, 0),
            id="another item under the same name",
        ),
    ],
)  # fmt: skip
def test_the_ledger_tells_right_restarts_from_wrong_ones(secrets, workloads, expected):
    """A soak without complaints means something only if each wrong restart is one."""
    assert numbers(ledger(secrets, workloads)) == expected


def leader(*mebibytes, pid=1):
    return [Sample(float(second), pid, round(each * MIB)) for second, each in enumerate(mebibytes)]


@pytest.mark.parametrize(
    ("samples", "flat"),
    [
        pytest.param(leader(*[70] * 20, *[80] * 80), True, id="a warm-up"),
        pytest.param(leader(*[80] * 80, *[87] * 20), True, id="less than 8 MiB"),
        pytest.param(leader(*[200] * 80, *[218] * 20), True, id="less than a tenth"),
        pytest.param(leader(*[80] * 80, *[90] * 20), False, id="a step"),
        pytest.param(leader(*(80 + second / 5 for second in range(100))), False, id="a steady leak"),
        pytest.param(leader(*[120] * 50, *[80] * 50), True, id="less than before"),
        pytest.param([*leader(*[60] * 100), *leader(*[90] * 100, pid=2)], True, id="two processes"),
    ],
)
def test_memory_is_flat_or_not(samples, flat):
    """The rule must be one that a leak breaks."""
    assert all(life.flat for life in lives(samples, shortest=50.0)) is flat


def test_short_lives_say_nothing_about_memory():
    """A process that was killed while it was still warming up is not judged."""
    assert lives(leader(*range(40)), shortest=50.0) == []


def test_the_schedule_depends_on_the_seed_alone():
    """A failure is repeated by its seed."""
    plan = Plan(seed=7, seconds=300.0)

    assert schedule(plan) == schedule(Plan(seed=7, seconds=300.0))
    assert schedule(plan) != schedule(Plan(seed=8, seconds=300.0))


@pytest.mark.parametrize("seed", range(20))
def test_a_schedule_is_possible(seed):
    """Nobody changes what is not there, no step lasts beyond the end, and operators live through the second half."""
    plan = Plan(seed, seconds=300.0, secrets=5, restarts_api_server=True)
    present = {f"s{number:03d}" for number in range(5)}

    for step in schedule(plan):
        assert step.at + step.lasts <= plan.seconds or step.side == "operator"
        assert step.side != "operator" or step.at < plan.seconds / 2
        if step.action == "create":
            assert not present & set(step.names)
            present |= set(step.names)
        assert set(step.names) <= present
        if step.action == "delete":
            present -= set(step.names)


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        "2030-01-01T00:00:00.000Z ERROR   keyturn: the watch of Secrets failed with KeyError in here",
        "2030-01-01T00:00:00.000Z INFO    keyturn: canary-1-7",
    ],
)
def test_no_bad_line_of_a_log_is_missed(line):
    """Defects, tracebacks and values are found among all other lines."""
    assert bad_lines([("operator-0.log", f"all is well\n{line}\n")]) == [f"operator-0.log: {line}"]
