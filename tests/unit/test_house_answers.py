"""What reads the answers of a vault keeps nothing of them."""

import importlib
import pkgutil

import pytest
from pydantic import BaseModel, TypeAdapter

from keyturn import providers
from keyturn.providers.connect.readers import _ITEM

MODULES = [each.name for each in pkgutil.walk_packages(providers.__path__, "keyturn.providers.")]


def readers(module):
    """The adapters of a module, by their names."""
    found = vars(importlib.import_module(module))
    return {name: each for name, each in found.items() if isinstance(each, TypeAdapter)}


def config_of(adapter):
    """How an adapter reads: its own configuration, or that of its model."""
    model = adapter._type
    own = model.model_config if isinstance(model, type) and issubclass(model, BaseModel) else adapter._config
    return own or {}


@pytest.mark.parametrize("module", MODULES)
def test_no_adapter_has_texts_kept_in_pydantics_cache(module):
    """By default it keeps each short text of every answer for as long as the process lives: also passwords."""
    kept = {name for name, adapter in readers(module).items() if config_of(adapter).get("cache_strings") != "keys"}

    assert kept == set()


def test_the_adapters_are_found():
    """The test above must not pass because it looks at nothing."""
    assert len([name for module in MODULES for name in readers(module)]) >= 4


def test_what_is_read_twice_is_no_shared_text():
    """So that nothing but its reader holds it."""
    body = (
        b'{"id": "a", "title": "canary-title", "vault": {"id": "v"}, "fields": [{"id": "f", "value": "canary-value"}]}'
    )
    first, second = (_ITEM.validate_json(body) for _ in range(2))

    assert first.title == second.title
    assert first.title is not second.title
