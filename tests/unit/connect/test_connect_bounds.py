"""Answers are weighed before anything is built from them."""

import gzip
import json

import pytest
from connect_fakes import ITEM, VAULT, Bench, Chunks, item_json, summary_json
from httpx import Response
from hypothesis import given
from hypothesis import strategies as st

from keyturn.providers.connect import BadAnswer, Oversized
from keyturn.providers.connect.bounds import ANSWER, list_of
from keyturn.providers.weighing import Scale

documents = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)
EMPTY_FIELDS = b'{"id":"%s","fields":[%s]}' % (ITEM.encode(), b",".join([b"{}"] * 1_000_000))
ZEROS = b"[%s]" % b",".join([b"0"] * 1_000_000)


def weight_of(document):
    """What a document weighs, by a walk through what was parsed."""
    if not isinstance(document, list | dict):
        return 0
    inner = list(document.values()) if isinstance(document, dict) else document
    own = 6 if isinstance(document, dict) else 1
    return own + max(0, len(inner) - 1) + sum(map(weight_of, inner))


@given(documents, st.booleans(), st.integers(1, 20))
def test_the_weight_is_that_of_the_members_however_the_text_is_cut(document, ascii_only, size):
    """What strings hold weighs nothing: commas, brackets, quotes and backslashes are legal in a password."""
    text = json.dumps(document, ensure_ascii=ascii_only).encode()
    scale = Scale()

    for start in range(0, len(text), size):
        scale.add(text[start : start + size])

    assert scale.weight == weight_of(document)


def plain(body):
    return Response(200, stream=Chunks([body[start : start + 65_536] for start in range(0, len(body), 65_536)]))


def compressed(body):
    return Response(200, headers={"content-encoding": "gzip"}, stream=Chunks([gzip.compress(body)]))


@pytest.mark.parametrize("encoded", [True, False], ids=["compressed", "plain"])
@pytest.mark.parametrize(
    ("body", "ask"),
    [
        (EMPTY_FIELDS, lambda client: client.item(VAULT, ITEM)),
        (ZEROS, lambda client: client.items(VAULT, size=3)),
        (ZEROS, lambda client: client.vaults()),
        (b'{"a":' * 60_000, lambda client: client.vaults()),
    ],
    ids=["fields", "list", "vaults", "depth"],
)
async def test_millions_of_members_are_refused_before_they_become_objects(body, ask, encoded):
    """A few kilobytes on the wire must not cost gigabytes."""
    bench = Bench(compressed(body) if encoded else plain(body))

    with pytest.raises(Oversized, match="more members than any honest answer has"):
        await ask(bench.client)


async def test_a_large_honest_item_passes():
    """10,000 fields with all that Connect sends beside their values, and a value full of commas and brackets."""
    section = {"id": "s", "label": "Section"}
    fields = [
        {"id": f"{number}", "label": f"field {number}", "type": "STRING", "value": "v", "section": section}
        | {"entropy": 1.5, "reference": "op://Prod/Database/field", "purpose": ""}
        for number in range(10_000)
    ]
    fields.append({"id": "notes", "label": "notes", "value": '[{"a": 1},\\' * 90_000})
    bench = Bench(compressed(json.dumps(item_json(fields=fields)).encode()))

    item = await bench.client.item(VAULT, ITEM)

    assert len(item.fields or ()) == 10_001


async def test_a_large_honest_list_passes_if_the_vault_says_that_it_is_large():
    """What a vault may send follows from the number of items that it says it holds."""
    items = [
        summary_json(id=f"item{number:022}", tags=["a", "b"], urls=[{"href": "http://a"}, {"href": "http://b"}])
        for number in range(12_000)
    ]
    body = json.dumps(items).encode()
    bench = Bench(compressed(body), compressed(body))

    assert len(await bench.client.items(VAULT, size=12_000)) == 12_000
    with pytest.raises(Oversized):
        await bench.client.items(VAULT, size=12)


def test_no_vault_is_believed_to_be_larger_than_fits_into_memory():
    """The size is the server's word, too."""
    assert list_of(10**12) == list_of(50_000)
    assert list_of(None) == list_of(0) == list_of(100) == ANSWER


@pytest.mark.parametrize("member", ["fields", "files", "sections", "tags", "urls"])
async def test_the_first_mistake_of_a_list_ends_its_reading(member):
    """Each mistake that is noted takes far more memory than the zero that caused it."""
    bench = Bench(Response(200, content=json.dumps(item_json(**{member: [0] * 200_000})).encode()))

    with pytest.raises(BadAnswer, match=rf"{member}\.0 has the wrong shape"):
        await bench.client.item(VAULT, ITEM)
