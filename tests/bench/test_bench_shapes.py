"""What the worst objects cost: the limits of the language are chosen so that none holds up the others."""

import time
import tracemalloc

import pytest

from keyturn.core.content import DEFAULT_MAPPING, MAX_SECRET_BYTES
from keyturn.core.shape import Shape, plan_shape
from keyturn.core.shape_errors import ShapeError
from keyturn.core.vault import Field
from support.shapes import a_file, an_item, text

MIB = 1024 * 1024
SECONDS = 0.2
CROWDED = 5
"""How many times longer a machine may take that runs other tests meanwhile."""
BYTES = 8 * MIB

THOUSANDS = an_item(*(Field(f"i{n}", f"l{n}", value="v" * 50, section=f"s{n % 500}") for n in range(10_000)))
ALIKE = an_item(*(Field(f"i{n}", "l", value="", section=f"s{n % 500}") for n in range(10_000)))


def repeated(hole, times=60):
    return {"templates": {"t": f"{{{{ {hole} }}}}" * times}}


def everywhere(hole):
    """As often as an object may have it."""
    return {"templates": {f"t{number}": f"{{{{ {hole} }}}}" * 60 for number in range(33)}}


@pytest.mark.parametrize(
    ("spec", "item", "content"),
    [
        pytest.param(repeated("f | urlencode | sha256"), None, b"/" + b"a" * (MIB - 64), id="one reserved byte"),
        pytest.param(repeated("f | urlencode | sha256"), None, bytes(range(256)) * 1300, id="many reserved bytes"),
        pytest.param(repeated("f | indent(1) | sha256"), None, b"\na" * 300_000, id="short lines"),
        pytest.param(repeated("f | indent(64) | sha256"), None, b"\n" * 40_000, id="blank lines"),
        pytest.param(repeated("f | json | sha256"), None, "\x80".encode() * 170_000, id="json of rare characters"),
        pytest.param(repeated("f | json | sha256"), None, b"a\1" * 140_000, id="json of control characters"),
        pytest.param(repeated("f | json | sha256"), None, b"a" * (MIB - 64), id="json of letters"),
        pytest.param(repeated("f | upper | lower | sha256"), None, "é".encode() * (MIB // 3), id="case"),
        pytest.param(repeated("f | trim | sha256"), None, "😀".encode() + b"a" * (MIB - 64), id="wide characters"),
        pytest.param(repeated("f | shell | sha256"), None, b"a'" * 170_000, id="shell"),
        pytest.param(repeated('f | replace("a", "bcd") | sha256'), None, b"a" * (MIB // 3), id="replace"),
        pytest.param(
            repeated(f'f | replace("{"a" * 40}b{"a" * 40}", "") | sha256'),
            None,
            b"a" * 29_000,
            id="replace nearly everywhere",
        ),
        pytest.param(everywhere("t" + " | trim" * 8), None, b"", id="all filters"),
        pytest.param(everywhere("x | default(x, x, x, x, x, x, x, t)"), None, b"", id="all fallbacks"),
        pytest.param(everywhere('"' + r"\n" * 90 + '"'), None, b"", id="escapes"),
        pytest.param(everywhere("* | json | sha256"), THOUSANDS, b"", id="all of many fields"),
        pytest.param(everywhere('s1/l | default("")'), ALIKE, b"", id="one of many fields alike"),
        pytest.param(everywhere('L | default("")'), ALIKE, b"", id="none of many fields alike"),
        pytest.param(
            {"include": [f"s{n}/l{n}*" for n in range(256)], "exclude": ["x*"]}, THOUSANDS, b"", id="patterns"
        ),
        pytest.param({"keys": {"k": "l12345x"}}, THOUSANDS, b"", id="no such field"),
    ],
)
def test_the_worst_objects_cost_a_fifth_of_a_second_and_a_few_mebibytes(spec, item, content):
    """One tenant's object must not keep another's waiting, nor end the operator by its memory."""
    item = item or an_item(a_file("f", size=None), text("t", "v"))
    assert len(content) <= MAX_SECRET_BYTES

    def shape():
        try:
            plan = plan_shape(Shape.read(spec))
            plan.files({"": item}, DEFAULT_MAPPING)
            plan.render({"": item}, {("", "id-f"): content}, DEFAULT_MAPPING, {})
        except ShapeError:
            pass

    seconds = _seconds(shape)
    tracemalloc.start()
    shape()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert seconds < SECONDS * CROWDED
    assert peak < BYTES


def _seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start
