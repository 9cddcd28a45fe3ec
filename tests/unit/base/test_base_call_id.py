"""The id in the User-Agent: written and read back, and never more than an id."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.call_id import call_id_in, current_call_id, process_call_id, user_agent

ULID = "01JDXW6K3V0Q8ZC4T5YB7N2M9R"


@pytest.fixture(autouse=True)
def unset():
    """What a test sets is gone after it."""
    token = current_call_id.set("")
    yield
    current_call_id.reset(token)


@pytest.mark.parametrize("call_id", [ULID, process_call_id("operator", "team-a/keyturn"), "a", "x" * 160])
def test_an_id_stands_behind_the_product_and_is_read_back(call_id):
    """The vault's log and our records are joined by this text alone."""
    current_call_id.set(call_id)

    assert user_agent("keyturn/1.2.3") == f"keyturn/1.2.3 ({call_id})"
    assert call_id_in(user_agent("keyturn/1.2.3")) == call_id


@pytest.mark.parametrize("bad", ["", "two words", "a)b", "line\r\nX-Evil: 1", "ü", "x" * 161])
def test_what_cannot_be_an_id_is_left_out(bad):
    """A header must stay one header."""
    current_call_id.set(bad)

    assert user_agent("keyturn/1.2.3") == "keyturn/1.2.3"


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "keyturn/1.2.3",
        "connect-sdk-go/1.5.3",
        f"evil/1 ({ULID})",
        f"keyturn/1.2.3 ({ULID}) more",
        f"not keyturn/1.2.3 ({ULID})",
        f"keyturn/1.2.3 ({ULID}) (b)",
        "keyturn/1.2.3 ()",
    ],
)
def test_other_agents_have_no_id(agent):
    """Only exactly our form counts."""
    assert call_id_in(agent) == ""


@given(st.text(max_size=200))
def test_whatever_is_set_the_header_is_one_printable_line(text):
    """An id never breaks a header, and is read back or not sent."""
    token = current_call_id.set(text)
    try:
        agent = user_agent("keyturn/1.0")
    finally:
        current_call_id.reset(token)

    assert agent.isascii()
    assert agent.isprintable()
    assert call_id_in(agent) in {"", text}


async def test_tasks_inherit_the_id_and_keep_theirs_to_themselves():
    """One process serves many callers at once."""
    current_call_id.set("process")

    async def call(call_id):
        inherited = user_agent("keyturn/1")
        current_call_id.set(call_id)
        await asyncio.sleep(0)
        return inherited, user_agent("keyturn/1")

    made = await asyncio.gather(call("a"), call("b"))

    assert list(made) == [("keyturn/1 (process)", "keyturn/1 (a)"), ("keyturn/1 (process)", "keyturn/1 (b)")]
    assert user_agent("keyturn/1") == "keyturn/1 (process)"
