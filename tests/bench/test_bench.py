"""What the benchmark says of its figures is true: broken promises are named, kept ones are not."""

import json
from dataclasses import replace

import pytest
from bench_audit import AuditLog, TooSlow
from bench_fanout import SHAPES, FanOut, broken_fanouts, fanout_markdown
from bench_measures import Flowing, Steady, quantile
from bench_report import Result, broken, markdown

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
