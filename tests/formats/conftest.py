"""The foreign readers, each started once."""

from collections.abc import Iterator

import pytest

from support.format_readers import Reader


@pytest.fixture(scope="session")
def go() -> Iterator[Reader]:
    """Go's own libraries."""
    reader = Reader.go()
    yield reader
    reader.close()


@pytest.fixture(scope="session")
def openssl() -> Iterator[Reader]:
    """The OpenSSL inside Node."""
    reader = Reader.openssl()
    yield reader
    reader.close()
