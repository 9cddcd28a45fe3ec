"""The context: frozen, so that no controller changes what the others share."""

from dataclasses import FrozenInstanceError, fields

import pytest

from keyturn.control.context import Context
from support.fake_api import FakeApiServer
from support.fake_context import fake_context


def test_a_controller_cannot_change_what_the_others_share():
    """It wires itself from the context and keeps what is its own."""
    context = fake_context(FakeApiServer())

    for each in fields(Context):
        with pytest.raises(FrozenInstanceError):
            setattr(context, each.name, None)
