"""Tokens of callers, on a real API server: which are accepted, and for how long."""

import time

import httpx
import pytest

from keyturn.broker.identity import VERDICTS_LAST
from support.broker import eventually_sync
from support.token_reviews import made_token

REF = {"ref": "op://Production/database/password"}


@pytest.fixture(scope="module", autouse=True)
def granted(brokering):
    """A grant for `ci`."""
    brokering.put_item("database", {"password": "canary-password"})
    brokering.grant("deploy", "database")


def read(brokering, token: str | None, **headers: str) -> httpx.Response:
    with brokering.broker.client(token) as client:
        return client.get("/v1/read", params=REF, headers=headers)


def is_refused(answered: httpx.Response) -> None:
    assert answered.status_code == 401, answered.text
    assert answered.headers["www-authenticate"].startswith("Bearer")
    assert "canary" not in answered.text


def test_a_token_for_us_is_accepted(brokering):
    """Also one that is bound to a pod."""
    assert read(brokering, brokering.token("ci")).text == "canary-password"
    brokering.pod("runner")
    assert read(brokering, brokering.token("ci", pod="runner")).text == "canary-password"

    record = brokering.broker.records()[-1]
    assert record["actor"]["pod"] == "runner"
    assert record["actor"]["credentialId"].startswith("JTI=")


@pytest.mark.parametrize(
    ("audience", "because"),
    [("", "it is for the API server"), ("vault", "it is for somebody else"), ("keyturn2", "it only looks like ours")],
)
def test_a_token_for_others_is_refused(brokering, audience, because):
    """The API server's own above all: it opens much more than we do."""
    is_refused(read(brokering, brokering.token("ci", audience=audience)))


def test_a_token_that_was_altered_is_refused(brokering):
    """In any of its parts."""
    head, body, signature = brokering.token("ci").split(".")
    stranger = brokering.token("stranger").split(".")
    for parts in ((head, stranger[1], signature), (head, body, stranger[2]), (head, body, signature[:-8])):
        is_refused(read(brokering, ".".join(parts)))
    is_refused(read(brokering, made_token()))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer a b"},
        {"Authorization": "Basic Y2k6Y2k="},
        {"Authorization": "Bearer opaque"},
        {"Authorization": "Bearer \x7f"},
        {"Authorization": "Bearer ..."},
    ],
)
def test_what_is_no_token_is_refused(brokering, headers):
    """And costs the API server nothing."""
    is_refused(read(brokering, None, **headers))


def test_our_token_opens_nothing_at_the_api_server(brokering, api_server):
    """Whoever steals it from a caller cannot use it there."""
    server = brokering.server()
    with httpx.Client(verify=False, headers={"Authorization": f"Bearer {brokering.token('ci')}"}) as client:  # noqa: S501
        assert client.get(f"{server}/api/v1/namespaces").status_code == 401


def test_the_token_of_a_deleted_pod_is_refused_soon(brokering):
    """Not later than 15 seconds after: what the API server remembers, and what we do."""
    brokering.pod("short")
    token = brokering.token("ci", pod="short")
    assert read(brokering, token).status_code == 200
    brokering.delete_pod("short")
    deleted_at = time.monotonic()

    def refused() -> None:
        is_refused(read(brokering, token))

    eventually_sync(refused, within=30.0)
    assert time.monotonic() - deleted_at < 15.0


def test_a_grant_that_is_revoked_counts_no_more_at_once(brokering):
    """The watch says so; no verdict is remembered."""
    brokering.put_item("other", {"password": "canary-other"})
    brokering.grant("revoked", "other", to=["web"])
    token = brokering.token("web")
    with brokering.broker.client(token) as client:
        ref = {"ref": "op://Production/other/password"}

        def given() -> None:
            assert client.get("/v1/read", params=ref).text == "canary-other"

        eventually_sync(given)
        brokering.revoke("revoked")
        revoked_at = time.monotonic()

        def refused() -> None:
            assert client.get("/v1/read", params=ref).status_code == 404

        eventually_sync(refused)
    assert time.monotonic() - revoked_at < VERDICTS_LAST
