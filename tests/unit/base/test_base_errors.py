"""An exception that is raised in place of another carries nothing of it."""

import gc
import traceback
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.errors import translated

CANARY = "canary-5f1b"


class Public(Exception):
    """What callers may see."""


def public(_):
    """Translate everything to one public error."""
    return Public("the request failed")


def fail(text):
    """Fail as a library does that quotes what it was given: in its message, in its cause and in its frames."""
    quoted = f"bad input: {text}"
    try:
        raise KeyError(quoted)
    except KeyError as error:
        raise ValueError(quoted) from error


def translate_failure(text):
    """The exception that leaves a translating block in which `fail` failed."""
    with pytest.raises(Public) as raised, translated(public):
        fail(text)
    return raised.value


def reachable_texts(error):
    """Every text that can be reached from an exception, through its attributes and the frames below the one that caught it."""
    seen, texts = set(), []
    pending = [error.args, vars(error), error.__cause__, error.__context__]
    trace = error.__traceback__
    while (trace := trace.tb_next) is not None:
        pending.append(dict(trace.tb_frame.f_locals))
    while pending:
        found = pending.pop()
        if id(found) in seen or isinstance(found, (type, types.ModuleType, types.FunctionType, types.FrameType)):
            continue
        seen.add(id(found))
        if isinstance(found, str):
            texts.append(found)
        elif isinstance(found, (BaseException, types.TracebackType)):
            texts.append(
                "".join(traceback.format_exception(found)) if isinstance(found, BaseException) else repr(found)
            )
        else:
            pending += gc.get_referents(found)
    return texts


def test_another_exception_is_raised_without_context_and_cause():
    """`raise ... from None` would keep the original as the context of the new one."""
    error = translate_failure(CANARY)

    assert str(error) == "the request failed"
    assert error.__context__ is None
    assert error.__cause__ is None


def test_the_traceback_has_no_frame_of_the_original():
    """Its frames hold the variables of the code that failed, such as the body of a response."""
    frames = [frame.name for frame in traceback.extract_tb(translate_failure(CANARY).__traceback__)]

    assert "fail" not in frames
    assert frames == ["translate_failure", "__exit__"]


@given(st.text(min_size=8, max_size=40).map(lambda text: f"{CANARY} {text}"))
def test_nothing_of_the_original_can_be_reached(text):
    """Neither its message, nor what it was raised from, nor the variables of a frame."""
    error = translate_failure(text)

    assert not [found for found in reachable_texts(error) if CANARY in found]


def test_an_exception_that_is_being_handled_is_not_attached_either():
    """A block may stand in an `except`, whose exception may quote a value, too."""
    try:
        raise ValueError(CANARY)
    except ValueError:
        error = translate_failure(CANARY)

    assert error.__context__ is None


def test_what_is_not_translated_passes_as_it_is():
    """None says that the original may be seen."""
    original = ValueError("harmless")

    def passes() -> None:
        with translated(lambda _: None):
            raise original

    with pytest.raises(ValueError, match="harmless") as raised:
        passes()

    assert raised.value is original


async def test_an_error_within_a_generator_is_translated():
    """Streams are generators, and fail between two elements."""

    async def stream():
        with translated(public):
            yield 1
            fail(CANARY)

    with pytest.raises(Public) as raised:
        [element async for element in stream()]

    assert raised.value.__context__ is None


def test_a_cancellation_is_never_translated():
    """Only an `Exception` is an error; the rest ends tasks and processes."""
    with pytest.raises(KeyboardInterrupt), translated(public):
        raise KeyboardInterrupt


def test_a_block_that_succeeds_raises_nothing():
    """The block is left as if it were not wrapped."""
    with translated(public):
        done = True

    assert done
