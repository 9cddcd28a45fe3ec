"""Canaries go through every filter and every kind of reference; no object on the way, and no error, shows one."""

import traceback
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from keyturn.control.sync.secret_writer import Written
from keyturn.control.sync.written import outcome_of_write
from keyturn.core.content import MappingOptions
from keyturn.core.desired import Desired
from keyturn.core.failures import failure_of
from keyturn.core.filters import FILTERS, Filter, Number, Word
from keyturn.core.outcomes import Ended, Situation, after_failure
from keyturn.core.paths import ItemPath
from keyturn.core.request import Key, SecretRequest
from keyturn.core.shape import Shape, plan_shape
from keyturn.core.shape_errors import ShapeError
from keyturn.core.status import Warnings
from support.canaries import CANARY, PLAIN_CANARY, found_in
from support.key_material import MAKERS, certificate_pem, chain, private_pem
from support.shapes import a_file, an_item, text

KEY = MAKERS["p256"]()
VALUES = {
    "plain": PLAIN_CANARY,
    "odd": CANARY,
    "long": CANARY * 5,
    "lines": f"{CANARY}\r\n{CANARY}\u2028",
    "key": private_pem(KEY).decode(),
    "ssh": private_pem(KEY, PrivateFormat.OpenSSH).decode(),
    "locked": private_pem(KEY, passphrase=PLAIN_CANARY).decode(),
    "block": f"-----BEGIN {CANARY} PRIVATE KEY-----\n{CANARY}\n-----END {CANARY} PRIVATE KEY-----\n",
    "certificate": certificate_pem(chain(KEY)).decode(),
    "empty": "",
}
FILE = b"\xff\x00" + CANARY.encode()
ITEM = an_item(
    *(text(label, value) for label, value in VALUES.items()),
    text("token", CANARY, section="section"),
    text("twice", CANARY, section="a"),
    text("twice", PLAIN_CANARY, section="b"),
    a_file("file", size=len(FILE)),
)
REFERENCES = (*VALUES, "file", "twice", "missing", "*", "other/odd", "other/twice", "@first", "@second")
NOW = datetime(2026, 11, 28, tzinfo=UTC)
PATH = ItemPath("v" * 26, "i" * 26)


@st.composite
def call(draw: st.DrawFn, taker: Filter) -> str:
    """A filter with arguments, as it is written."""
    written = []
    for kind in taker.takes[: len(taker.takes) - draw(st.integers(0, taker.optional))]:
        match kind:
            case Word(words):
                written.append(f'"{draw(st.sampled_from(words))}"')
            case Number(most):
                written.append(str(draw(st.integers(0, most))))
            case _:
                written.append(draw(st.sampled_from(REFERENCES)))
    return f"{taker.name}({', '.join(written)})" if written else taker.name


def hole(names: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A reference through a filter of these names, and perhaps one more."""
    called = names.flatmap(lambda name: call(FILTERS[name]))
    return st.tuples(st.sampled_from(REFERENCES), st.lists(called, min_size=1, max_size=2)).map(
        lambda parts: " | ".join([parts[0], *parts[1]])
    )


def seen(spec, old):
    """All that may get into a log of a pass over a spec: the reprs of what it makes, or its error, with all that hangs on it."""
    shape = Shape.read(spec)
    request = SecretRequest(Key("shop", "web"), uid="u", generation=1, item_path=str(PATH), shape=shape)
    items = {"": ITEM, "other": ITEM}
    try:
        plan = plan_shape(shape)
        needed = plan.files(items, MappingOptions())
        made = plan.render(items, {(alias, file.id): FILE for alias, file in needed}, MappingOptions(), old)
    except ShapeError as error:
        outcome = after_failure(failure_of(error), Situation(was_synced=True, has_status=True))
        told = [outcome, Ended(outcome), error, error.__context__, "".join(traceback.format_exception(error))]
        return [shape, request, *told], None
    desired, ended = Desired(request, PATH, "1", made.data, at=NOW, shape=shape.digest()).with_previous(None, old)
    written = Written(applied=True, changed=tuple(made.data), revision=2, previous=desired.previous)
    outcome = outcome_of_write(written, desired, warnings=Warnings(), origins=plan.origins, frozen=False)
    return [shape, plan, needed, made, request, desired, ended, outcome, desired.annotations()], made.data


@given(data=st.data())
def test_no_value_is_shown_by_what_stands_on_the_way_of_a_pass(data):
    """Whatever filter takes or refuses it, in a key, in a text, through another key, and as a previous value."""
    first, second = (data.draw(hole(st.sampled_from(sorted(FILTERS)))) for _ in range(2))
    old = data.draw(st.sampled_from([{}, {"first": CANARY.encode(), "kept": FILE}, {"first": VALUES["key"].encode()}]))
    spec = {
        "items": {"other": "vaults/a/items/b"},
        "keys": {"first": first},
        "templates": data.draw(st.sampled_from([{}, {"second": f"x {{{{ {second} }}}}"}, {"second": "{{ @first }}"}])),
        "include": data.draw(st.sampled_from([[], ["*"], ["odd", "other/twice"], ["*", "other/*"]])),
        "previous": {"for": "1h", "keys": {"kept": "first"}},
    }

    objects, made = seen(spec, old)

    shown = "\n".join(f"{each!r}\n{each}" for each in objects)
    assert found_in(shown, [*(value.encode() for value in VALUES.values()), *(made or {}).values()]) == []


GOOD = (
    *(f"odd | {name}" for name in ("trim", "upper", "lower", "json", "urlencode", "shell", "sha256", "bcrypt")),
    *(f"file | {name}" for name in ("b64encode", 'b64encode("url")', "hexencode")),
    "key | openssh",
    "ssh | openssh",
    "ssh | pkcs8",
    "key | pkcs12(certificate, plain)",
    "certificate | truststore(plain)",
    'certificate | pem("CERTIFICATE")',
    "odd | htpasswd(plain)",
    "plain | basicauth(odd)",
    "empty | default(odd)",
    'odd | replace("k", plain)',
    "lines | indent(3)",
    "* | json",
    "* | properties",
    "section/* | dotenv",
)


@pytest.mark.parametrize("good", GOOD)
def test_a_success_shows_no_value_either(good):
    """Neither with other old bytes, nor with those of its own, which stay if they are random."""
    spec = {"keys": {"first": good}, "previous": {"for": "1h", "keys": {"kept": "first"}}}
    values = [value.encode() for value in VALUES.values()]
    old = {"first": CANARY.encode(), "kept": FILE}
    for _ in range(2):
        objects, made = seen(spec, old)
        assert made is not None
        assert found_in("\n".join(map(repr, objects)), [*values, *made.values()]) == []
        old = dict(made)
