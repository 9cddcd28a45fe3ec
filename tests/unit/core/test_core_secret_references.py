"""Secret references, by the table that the client's reader shares."""

from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.secret_references import BadReference, SecretReference, parse_secret_reference
from support.op_references import BAD, GOOD

NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=20)


@pytest.mark.parametrize("text", GOOD)
def test_what_a_reference_names(text):
    """What `op` reads means the same here, and so does what it refuses only for its characters."""
    assert parse_secret_reference(text) == SecretReference(*GOOD[text])


@pytest.mark.parametrize(("text", "said"), BAD)
def test_what_is_no_reference(text, said):
    """Each wrong text is refused with one short line that names what is wrong, whatever it holds."""
    with pytest.raises(BadReference) as refused:
        parse_secret_reference(text)
    message = str(refused.value)
    assert said in message
    assert message.isprintable()
    assert len(message) < 300


@given(st.lists(NAMES, min_size=3, max_size=4))
def test_any_name_can_be_written(names):
    """Percent-encoded, every name of a vault, item, section or field comes back as it was."""
    read = parse_secret_reference("op://" + "/".join(quote(name, safe="") for name in names))
    section = names[2] if len(names) == 4 else None
    assert read == SecretReference(names[0], names[1], section, names[-1])


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text):
    """Whatever follows the scheme, a reference or a refusal comes of it."""
    with suppress(BadReference):
        read = parse_secret_reference("op://" + text)
        assert read.vault
        assert read.item
        assert read.field
