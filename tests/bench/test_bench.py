"""What the benchmark says of its figures is true: broken promises are named, kept ones are not."""

import json
from dataclasses import replace

import pytest
from bench_audit import AuditLog, TooSlow
from bench_connections import Connected, Crowd, broken_connections, connections_markdown
from bench_fanout import SHAPES, FanOut, broken_fanouts, fanout_markdown
from bench_kinds import ITEMS, Kind, broken_kinds, kinds_markdown
from bench_large import Large, broken_large, large_markdown
from bench_measures import Flowing, Steady, quantile
from bench_objects import HOSTILE, big_item, hostile, shaped, small_item
from bench_reads import Reads, broken_reads, reads_markdown
from bench_report import Result, broken, markdown
from bench_tenants import Latency, broken_tenants, tenants_markdown

from keyturn.cluster import KEYTURN_SECRETS, ONEPASSWORD_ITEMS
from keyturn.core.shape import Shape, plan_shape

MIB = 1024 * 1024
STEADY = Steady(
    cold_seconds=2.0,
    cold_requests=303,
    cold_writes=600,
    idle_requests=2.0,
    idle_writes=0,
    idle_cpu_percent=0.1,
    resident=80 * MIB,
    resident_foreign=81 * MIB,
    resident_unrelated=81 * MIB,
    unrelated_cpu_percent=0.1,
    restart_writes=0,
    others_percent=1.0,
)
FLOWING = Flowing(
    apply_seconds=3.0,
    kubectl_seconds=2.9,
    apply_writes=600,
    to_secret=[0.5, 1.0, 1.5],
    to_deployment=[0.6, 1.1, 1.6],
    from_listing=[0.02, 0.02, 0.02],
    others_percent=1.0,
)


def result(**changes):
    return Result(300, replace(STEADY, **changes), FLOWING)


def event(verb, resource, code, second):
    reference = {"resource": resource}
    stamp = f"2026-01-01T00:00:{second:02d}.000001Z"
    return {"verb": verb, "objectRef": reference, "responseStatus": {"code": code}, "stageTimestamp": stamp}


def test_kept_promises_are_not_complained_of():
    """Figures within the promises break none."""
    assert list(broken([result()])) == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cold_requests": 306}, "Connect requests, cold start"),
        ({"idle_requests": 2.1}, "Connect requests per idle poll"),
        ({"cold_writes": 601}, "API server writes for N new objects"),
        ({"idle_writes": 1}, "API server writes, idle"),
        ({"restart_writes": 1}, "restart where all is well"),
        ({"idle_cpu_percent": 1.0}, "CPU of an idle operator"),
        ({"cold_seconds": 6.7}, "from the operator's start"),
        ({"resident_foreign": 85 * MIB}, "foreign Secrets"),
        ({"resident_unrelated": 95 * MIB}, "Deployments that ask for nothing"),
        ({"unrelated_cpu_percent": 1.1}, "CPU idle beside both"),
    ],
)
def test_each_broken_promise_is_named(changes, named):
    """One figure beyond its promise gives exactly one line, which says what was promised."""
    [line] = broken([result(**changes)])
    assert named in line
    assert "promised: " in line


def test_the_table_shows_every_size_beside_what_others_need():
    """Each line has as many cells as the head, and nothing that was not measured looks as if it was."""
    lines = markdown([result(), Result(1000, STEADY, FLOWING)]).splitlines()
    assert {line.count("|") for line in lines} == {6}
    assert "Keyturn, N = 300 | Keyturn, N = 1,000" in lines[0]
    assert any("not measured" in line and "MiB" in line for line in lines)


def test_percentiles_lie_between_the_values():
    """The median of three is the middle one, and p95 lies just below the largest."""
    assert quantile([1.0, 2.0, 3.0], 50) == 2.0
    assert 2.8 < quantile([1.0, 2.0, 3.0], 95) < 3.0


def test_the_audit_log_is_read_on_from_where_it_was_left(tmp_path):
    """Each request counts once, and a line that is not complete yet counts later."""
    path = tmp_path / "audit.log"
    log = AuditLog(path)
    assert log.new() == []
    path.write_text(json.dumps(event("create", "secrets", 201, 1)) + "\n" + '{"verb": "pa')
    assert [(each.verb, each.writes) for each in log.new()] == [("create", True)]
    path.write_text(path.read_text().replace('{"verb": "pa', json.dumps(event("list", "secrets", 200, 2)) + "\n"))
    [later] = log.new()
    assert (later.verb, later.writes, later.status) == ("list", False, 200)


def test_only_what_was_created_is_waited_for(tmp_path):
    """A refused creation does not count as an object that is there."""
    path = tmp_path / "audit.log"
    path.write_text(json.dumps(event("create", "secrets", 409, 1)) + "\n")
    with pytest.raises(TooSlow, match="0 of 1 secrets"):
        AuditLog(path).until_created("secrets", 1, within=0.0, check=lambda: None)


def fanout(shape=SHAPES[1], **changes):
    figures = FanOut(shape, restarts=shape.workloads, to_secrets=2.0, to_workloads=3.0, lists=6, reads=10, writes=2500)
    return replace(figures, **changes)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_mass_rotation_restarts_everybody_once(shape):
    """One restart too few or too many breaks the promise, and so does a listing for each Secret."""
    assert list(broken_fanouts([fanout(shape)])) == []
    for wrong in ({"restarts": shape.workloads + 1}, {"restarts": shape.workloads - 1}, {"lists": 100}):
        [line] = broken_fanouts([fanout(shape, **wrong)])
        assert shape.what in line


def test_every_shape_says_who_uses_what():
    """One Secret of all, one each, or all of one."""
    users = {shape.name: shape.users([f"s{n}" for n in range(shape.secrets)]) for shape in SHAPES}

    assert {name: (len(by), len(by["w0000"])) for name, by in users.items()} == {
        "wide": (500, 1),
        "broad": (500, 1),
        "deep": (1, 50),
    }
    assert users["broad"]["w0007"] == ["s7"]
    assert users["wide"]["w0007"] == ["s0"]


def test_the_second_table_has_a_line_for_each_shape():
    """As wide as its head."""
    lines = fanout_markdown([fanout(shape) for shape in SHAPES]).splitlines()

    assert len(lines) == 2 + len(SHAPES)
    assert {line.count("|") for line in lines} == {8}


PLAIN = Kind(
    cold_cpu=2.0,
    cold_requests=ITEMS + 3,
    cold_writes=2 * ITEMS,
    idle_requests=2.0,
    idle_cpu_percent=0.1,
    resident=100 * MIB,
)


def kinds(**changes):
    return {ONEPASSWORD_ITEMS: PLAIN, KEYTURN_SECRETS: replace(PLAIN, **changes)}


def test_a_shape_may_cost_a_tenth_more_cpu_and_nothing_else():
    """Memory and idle CPU are shown, but nothing is promised of them."""
    assert list(broken_kinds(kinds(cold_cpu=2.19, resident=200 * MIB, idle_cpu_percent=0.2))) == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cold_cpu": 2.21}, "CPU of a cold start"),
        ({"cold_requests": ITEMS + 4}, "Connect requests, cold start"),
        ({"cold_writes": 2 * ITEMS + 1}, "API server writes, cold start"),
        ({"idle_requests": 2.1}, "Connect requests per idle poll"),
    ],
)
def test_each_broken_promise_of_a_shape_is_named(changes, named):
    """One line, which says what was promised."""
    [line] = broken_kinds(kinds(**changes))
    assert line.startswith("KeyturnSecret: ")
    assert named in line
    assert "promised: " in line


def test_the_table_of_kinds_says_how_much_more_a_shape_costs():
    """In percent."""
    lines = kinds_markdown(kinds(cold_cpu=2.1)).splitlines()

    assert {line.count("|") for line in lines} == {5}
    assert "2.10 s (+5 %)" in lines[2]


def test_a_hostile_tenant_may_delay_others_by_less_than_a_fifth():
    """Of the median and of the slowest, for each kind."""
    alone = [0.5, 1.0, 1.5]
    assert list(broken_tenants({KEYTURN_SECRETS: Latency(alone, [0.6, 1.19, 1.7])})) == []

    lines = list(broken_tenants({ONEPASSWORD_ITEMS: Latency(alone, [0.5, 1.2, 1.9])}))

    assert [line.partition(":")[0] for line in lines] == ["OnePasswordItem", "OnePasswordItem"]
    assert "p50: +20 %" in lines[0]
    assert "p99" in lines[1]


def test_the_table_of_tenants_has_a_line_for_each_kind():
    """As wide as its head, with what has moved."""
    latency = Latency([0.5, 1.0, 1.5], [0.5, 1.1, 1.5])
    lines = tenants_markdown({ONEPASSWORD_ITEMS: latency, KEYTURN_SECRETS: latency}).splitlines()

    assert {line.count("|") for line in lines} == {5}
    assert "1000 / 1490 ms" in lines[2]
    assert "(+10 / +0 %)" in lines[2]


@pytest.mark.parametrize("number", range(len(HOSTILE)), ids=lambda number: HOSTILE[number][0].__name__)
def test_hostile_shapes_are_ones_that_the_operator_renders(number):
    """One that is refused at sight would cost nothing. Another tag makes another shape."""
    spec, other = (hostile("v", "t", number, tag)["spec"] for tag in ("1", "2"))

    assert plan_shape(Shape.read(spec)).origins
    assert Shape.read(spec) != Shape.read(other)


def test_no_two_sane_shapes_are_equal():
    """Nothing that is kept of one would spare the next one its cost."""
    first, second = (Shape.read(shaped("t", number)["spec"]) for number in (1, 2))

    assert first != second
    assert [len(plan_shape(first).origins), len(first.keys), len(first.templates)] == [7, 5, 2]


def test_an_item_of_a_hostile_tenant_has_what_its_shapes_name():
    """A missing field would be found before anything is rendered."""
    labels = [{each["label"] for each in make()["fields"]} for make in (small_item, big_item)]

    assert labels == [{"password"}, {"password", "big"}]


CROWD = Crowd(connections=1000, resident_before=90 * MIB, resident=190 * MIB, requests=2.0, writes=0, cpu_percent=5.0)
CONNECTED = Connected([0.5] * 100, [0.55] * 100, ["hangs", "floods"], CROWD)


def test_connections_that_keep_their_promises_are_not_complained_of():
    """Figures within the promises break none, and are shown."""
    assert list(broken_connections(CONNECTED)) == []

    shown = connections_markdown(CONNECTED)
    assert "beside one that hangs, one that floods" in shown
    assert "550 / 550 ms (+10 / +10 %)" in shown
    assert "| Memory per Connection, with its items and objects | 102 KiB |" in shown


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (replace(CONNECTED, beside=[0.7] * 100), "p99: +40 %"),
        (replace(CONNECTED, crowd=replace(CROWD, requests=3.0)), "idle poll: 3.00"),
        (replace(CONNECTED, crowd=replace(CROWD, writes=1)), "idle Connections: 1"),
    ],
)
def test_each_broken_promise_of_connections_is_named(changed, named):
    """One connection that is sick must not delay another."""
    [said] = broken_connections(changed)

    assert named in said


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, None),
        ({"requests": 3.0}, "requests per idle poll"),
        ({"cpu_percent": 0.3}, "0.30 %"),
        ({"resident": 230 * MIB}, "230 MiB"),
    ],
)
def test_what_ten_thousand_items_may_cost(changes, named):
    """An idle poll is the same, however many there are."""
    large = replace(Large(requests=2.0, cpu_percent=0.14, resident=210 * MIB), **changes)

    assert {line.count("|") for line in large_markdown(large).splitlines()} == {4}
    said = list(broken_large(large))
    assert len(said) == (named is not None)
    assert all(named in line for line in said)


READS = Reads(
    broker=[0.004, 0.005, 0.006],
    connect=[0.001] * 3,
    raw=[0.001] * 3,
    vendor=[0.002] * 3,
    upstream=1.0,
    many=[0.005] * 3,
    failed=0,
    idle=70 * MIB,
    resident=(75 * MIB, 75 * MIB),
    cpu_percent=60.0,
)


def test_reads_within_the_promises_break_none():
    """The table shows the figures of reads in milliseconds."""
    assert list(broken_reads(READS)) == []
    assert "| through the broker, by TLS, with its record | 5.0 ms | 6.0 ms |" in reads_markdown(READS)


@pytest.mark.parametrize(
    "changes",
    [
        {"broker": [0.016] * 3},
        {"broker": [0.004] * 50 + [0.060] * 2},
        {"upstream": 1.5},
        {"failed": 1},
        {"idle": 91 * MIB},
        {"resident": (75 * MIB, 91 * MIB)},
        {"resident": (75 * MIB, 80 * MIB)},
    ],
)
def test_reads_that_break_a_promise_are_named(changes):
    """Each broken promise of reads is a line."""
    assert list(broken_reads(replace(READS, **changes)))
