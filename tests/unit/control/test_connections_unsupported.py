"""The provider in place of one that is not known: nothing of it can be read or opened."""

import pytest

from keyturn.base.time import Time
from keyturn.control.connections.unsupported import UNSUPPORTED
from keyturn.core.provider import BadProviderSettings


def test_nothing_is_opened():
    """A Connection of an unknown kind must not reach any vault."""
    with pytest.raises(BadProviderSettings):
        UNSUPPORTED.open(None, time=Time(), observer=lambda *_: None)
    with pytest.raises(BadProviderSettings):
        UNSUPPORTED.read_settings({})


def test_no_text_is_an_id_of_it():
    """So that whatever is named is looked for by its title."""
    assert not UNSUPPORTED.is_id("a" * 26)
