"""How much processor time the models take: the best of several runs, so that other processes do not count."""

import json
import time

from connect_servers import FILE, ITEM, VAULT
from pydantic import TypeAdapter

from keyturn.providers.connect import ConnectItem, ItemSummary
from keyturn.providers.connect.translating import as_item

SUMMARY = {
    "id": ITEM,
    "title": "Database of the shop",
    "vault": {"id": VAULT, "name": "Production"},
    "category": "LOGIN",
    "version": 17,
    "tags": ["shop", "production"],
    "urls": [{"href": "https://example.test", "label": "website", "primary": True}],
    "createdAt": "2024-01-02T03:04:05.123456789Z",
    "updatedAt": "2024-01-02T03:04:05Z",
    "lastEditedBy": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "additionalInformation": "somebody@example.test",
}
DETAIL = {
    **SUMMARY,
    "sections": [{"id": "s", "label": "Extra"}],
    "fields": [
        {
            "id": f"field{number}",
            "label": f"label {number}",
            "type": "CONCEALED",
            "purpose": "PASSWORD",
            "section": {"id": "s"},
            "value": "v" * 40,
            "passwordDetails": {"strength": "FANTASTIC", "history": ["old"] * 5},
        }
        for number in range(20)
    ],
    "files": [{"id": FILE, "name": "tls.crt", "size": 3, "content_path": "/v1/x"}],
}


def best_of(times, work):
    spent = []
    for _ in range(times):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def test_a_thousand_summaries_take_less_than_thirty_milliseconds():
    """A listing of a large vault must not hold the event loop for long."""
    adapter = TypeAdapter(tuple[ItemSummary, ...])
    body = json.dumps([SUMMARY] * 1000).encode()

    assert best_of(7, lambda: adapter.validate_json(body)) < 0.030


def test_an_item_of_twenty_fields_takes_less_than_a_millisecond():
    """Parsing and mapping to the seam's model together."""
    adapter = TypeAdapter(ConnectItem)
    body = json.dumps(DETAIL).encode()

    assert best_of(50, lambda: as_item(adapter.validate_json(body), VAULT)) < 0.001
