"""An error that replaces another carries nothing of it."""

import asyncio

import pytest

from keyturn.base.errors import translated


class Original(Exception):
    """May hold a value."""


class Replacement(Exception):
    """Holds none."""


def replace_original(error):
    return Replacement("safe") if isinstance(error, Original) else None


def test_the_replacement_has_no_context():
    """A handler that prints causes and contexts would print the value."""
    with pytest.raises(Replacement) as raised, translated(replace_original):
        raise Original("canary")

    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None


def test_an_exception_that_is_handled_outside_is_not_attached_either():
    """A retry may run inside an except clause."""

    def translate_again():
        with translated(replace_original):
            raise Original("canary")

    try:
        raise Original("canary")
    except Original:
        with pytest.raises(Replacement) as raised:
            translate_again()

    assert raised.value.__context__ is None


def test_other_exceptions_pass_unchanged():
    """A defect keeps its traceback, and a cancellation stays one."""
    defect = ValueError("defect")
    with pytest.raises(ValueError, match="defect") as raised, translated(replace_original):
        raise defect
    assert raised.value is defect

    with pytest.raises(asyncio.CancelledError), translated(lambda error: Replacement("never")):
        raise asyncio.CancelledError


async def test_the_rule_holds_inside_a_generator():
    """Streams are generators, and raise in the middle of them."""

    async def stream():
        with translated(replace_original):
            yield 1
            raise Original("canary")

    with pytest.raises(Replacement) as raised:
        [item async for item in stream()]

    assert raised.value.__context__ is None
