"""The texts of transport errors: they name host or file, and quote nothing that was received."""

import aiohttp
import pytest

from keyturn.cluster.transport import TransportError, _describe


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError("canary"), "no answer in time"),
        (FileNotFoundError(2, "No such file or directory", "/token"), "No such file or directory: /token"),
        (aiohttp.ClientPayloadError("canary"), "ClientPayloadError"),
        (OSError("canary"), "OSError"),
        (ValueError("canary"), "ValueError"),
    ],
    ids=["timeout", "file", "cut response", "socket", "defect"],
)
def test_a_failure_is_described_without_received_bytes(error, text):
    """The exceptions of a client library may quote anything."""
    described = _describe(error)

    assert described is not None
    assert str(described) == text
    assert described.timed_out is isinstance(error, TimeoutError)
    assert not described.fenced


def test_a_described_failure_stays_as_it_is():
    """The write fence raises inside the client library."""
    assert _describe(TransportError("the Lease is not ours", fenced=True)) is None
