"""C01 to C16: headers, authentication, routes and connections."""

import asyncio
import re
import ssl
from typing import Any

import httpx
import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec

from support.emulator import NOWHERE
from support.patience import PATIENCE_S

CALLS = [
    ("GET", "/heartbeat"),
    ("GET", "/health"),
    ("GET", "/metrics"),
    ("GET", "/v1/vaults"),
    ("GET", "/v1/nowhere"),
    ("GET", "/nowhere"),
    ("GET", "/v1/vaults/short"),
    ("GET", f"/v1/vaults/{NOWHERE}"),
    ("GET", "{vault}"),
    ("GET", "{vault}/items"),
    ("POST", "{vault}/items"),
    ("GET", "{item}"),
    ("PUT", "{item}"),
    ("PATCH", "{item}"),
    ("GET", "{item}/files"),
    ("GET", "{file}"),
    ("GET", "{file}/content"),
    ("DELETE", "{item}"),
    ("GET", "/v1/activity"),
    ("OPTIONS", "/v1/vaults"),
    ("HEAD", "/v1/vaults"),
]


def filled(rig, path):
    return path.format(vault=rig.vault_path(), item=rig.item_path(), file=rig.file_path())


@pytest.mark.parametrize("token", ["all", None])
@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_c01_every_answer_carries_the_version(rig, method, path, token):
    """C01: success, error, 204, content: all carry the version header, and none names the web server beneath."""
    response = await rig(method, filled(rig, path), token=token)
    assert re.fullmatch(r"\d+\.\d+\.\d+", response.headers["1Password-Connect-Version"])
    assert "server" not in response.headers


@pytest.mark.parametrize("path", ["/v1/vaults", "{vault}", "{vault}/items", "{item}", "{item}/files", "{file}"])
async def test_c02_json_is_compact_and_sorted(rig, path):
    """C02: JSON answers are application/json, on one line without spaces, with sorted keys."""
    response = await rig.get(filled(rig, path))
    assert response.headers["content-type"] == "application/json"
    assert b": " not in response.content
    assert b"\n" not in response.content
    forms = response.json() if isinstance(response.json(), list) else [response.json()]
    assert forms
    assert all(list(form) == sorted(form) for form in forms)


async def test_c02_error_bodies_have_status_then_message(rig):
    """C02: an error is a flat object of status and message, in this order, and of nothing else."""
    response = await rig.get(f"{rig.items_path()}/{NOWHERE}")
    assert response.content == b'{"status":404,"message":"item %s not found"}' % NOWHERE.encode()
    assert response.headers["content-type"] == "application/json"


async def test_c02_html_characters_are_escaped_unless_a_knob_says_otherwise(launch):
    """C02: `&`, `<` and `>` are escaped as Go's encoder does, and read back the same; a knob writes them as they are."""
    description = {"vaults": [{"name": "a<b>&c"}], "tokens": [{"name": "all", "vaults": {"*": "r"}}]}
    escaped = await (await launch(description)).get("/v1/vaults")
    plain = await (await launch(description, escape_html=False)).get("/v1/vaults")
    assert rb'"a\u003cb\u003e\u0026c"' in escaped.content
    assert b'"a<b>&c"' in plain.content
    assert escaped.json()[0]["name"] == plain.json()[0]["name"] == "a<b>&c"


async def test_c03_no_header_is_401(rig):
    """C03: a request without Authorization is refused with status and message; the text is a knob."""
    response = await rig.get("/v1/vaults", token=None)
    assert (response.status_code, response.json()) == (401, {"status": 401, "message": "Invalid bearer token"})
    rig.emulator.live.turn({"missing_token_message": "Invalid or missing token"})
    assert (await rig.get("/v1/vaults", token=None)).json()["message"] == "Invalid or missing token"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer garbage",
        "Bearer a.b.c",
        "Basic {token}",
        "Token {token}",
        "{token}",
        "Bearer {token} x",
    ],
)
async def test_c04_malformed_authorization_is_401(rig, header):
    """C04: other schemes, an empty bearer and texts that are no JWT are refused."""
    sent = header.format(token=rig.emulator.token("all"))
    response = await rig.get("/v1/vaults", headers={"Authorization": sent})
    assert (response.status_code, response.json()["status"]) == (401, 401)
    assert rig.emulator.token("all") not in response.text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_c05_scheme_has_any_case(rig, scheme):
    """C05: the scheme's name may have any case."""
    response = await rig.get("/v1/vaults", headers={"Authorization": f"{scheme} {rig.emulator.token('all')}"})
    assert response.status_code == 200


async def test_c06_expired_token_is_401(rig):
    """C06: a token counts until the second it expires, by the emulator's clock."""
    rig.emulator.authority.issue("short", {"*": "r"}, expires_at=rig.clock.now() + 60)
    rig.clock.advance(59.5)
    assert (await rig.get("/v1/vaults", token="short")).status_code == 200
    rig.clock.advance(1)
    response = await rig.get("/v1/vaults", token="short")
    assert (response.status_code, response.json()["message"]) == (401, "Invalid bearer token")


async def test_c06_token_of_another_server_is_401(rig, launch):
    """C06: a token of another Connect server is refused because of its signature."""
    other = await launch(seed=1)
    response = await rig.get("/v1/vaults", headers={"Authorization": f"Bearer {other.emulator.token('all')}"})
    assert (response.status_code, response.json()["message"]) == (401, "Invalid token signature")


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES256"])
async def test_c06_forged_token_is_401(rig, algorithm):
    """C06: the right claims are worth nothing without the key, and the algorithm is not the client's choice."""
    claims = jwt.decode(rig.emulator.token("all"), options={"verify_signature": False})
    key: Any = {"none": None, "HS256": "k" * 32, "ES256": ec.generate_private_key(ec.SECP256R1())}[algorithm]
    forged = jwt.encode(claims, key, algorithm=algorithm)
    assert (await rig.get("/v1/vaults", headers={"Authorization": f"Bearer {forged}"})).status_code == 401


async def test_c07_revoked_token_is_401_and_a_new_one_works(rig):
    """C07: revoking takes effect with the next request, and a new token of the same name needs no restart."""
    assert (await rig.get("/v1/vaults", token="reader")).status_code == 200
    rig.emulator.authority.revoke("reader")
    assert (await rig.get("/v1/vaults", token="reader")).status_code == 401
    rig.emulator.authority.issue("reader", rig.emulator.grants({"Production": "r"}))
    assert (await rig.get("/v1/vaults", token="reader")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [call for call in CALLS if call[1] not in {"/heartbeat", "/health", "/metrics", "/nowhere"}]
)
async def test_c08_401_comes_first(rig, method, path):
    """C08: without a token the answer is 401 and nothing more, whatever else is wrong."""
    response = await rig(method, filled(rig, path), token=None)
    assert response.status_code == 401


@pytest.mark.parametrize("path", ["/heartbeat", "/health", "/metrics"])
async def test_c09_public_routes_need_no_token(rig, path):
    """C09: heartbeat, health and metrics are open, at the root only."""
    assert (await rig.get(path, token=None)).status_code == 200
    assert (await rig.get("/v1" + path)).status_code == 404


async def test_c10_heartbeat_is_one_dot(rig):
    """C10: the heartbeat's body is a single dot in plain text."""
    response = await rig.get("/heartbeat", token=None)
    assert response.content == b"."
    assert response.headers["content-type"].startswith("text/plain")


async def test_c11_odd_headers_are_ignored(rig):
    """C11: what official clients send besides the token changes nothing."""
    headers = {
        "Content-Type": "application/json",
        "X-B3-TraceId": "0" * 32,
        "X-B3-SpanId": "0" * 16,
        "X-B3-Sampled": "1",
        "X-Unknown": "y",
        "Accept": "text/html",
    }
    response = await rig.get(rig.item_path(), headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert "content-encoding" not in response.headers


async def test_c12_connections_are_kept_or_closed_as_asked(rig):
    """C12: a connection serves many requests, unless the client asks to close it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(rig.emulator.url.rpartition(":")[2]))
    request = b"GET /heartbeat HTTP/1.1\r\nHost: x\r\n%s\r\n"
    writer.write(request % b"")
    first = await reader.readuntil(b"\r\n\r\n.")
    writer.write(request % b"Connection: close\r\n")
    second = await reader.read()
    writer.close()
    assert b"connection: close" not in first.lower()
    assert b"connection: close" in second.lower()
    assert second.endswith(b".")


async def test_c12_idle_connections_end(launch):
    """C12: how long an idle connection is kept is a knob."""
    rig = await launch(keep_alive_s=0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(rig.emulator.url.rpartition(":")[2]))
    writer.write(b"GET /heartbeat HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.read()).endswith(b".")
    writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
    ],
)
async def test_c12_what_is_no_http_is_answered_as_go_does(rig, sent):
    """C12: a request that cannot be parsed gets Go's plain 400, which does not repeat the request, and the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(rig.emulator.url.rpartition(":")[2]))
    writer.write(sent)
    async with asyncio.timeout(PATIENCE_S):
        received = await reader.read()
    writer.close()
    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert received.endswith(b"\r\n\r\n400 Bad Request")
    assert b"server:" not in received.lower()


async def answered(rig, sent):
    """The whole answer to some bytes, with a token in them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(rig.emulator.url.rpartition(":")[2]))
    writer.write(sent.replace(b"TOKEN", rig.emulator.token("all").encode()).replace(b"VAULT", rig.vault().encode()))
    async with asyncio.timeout(PATIENCE_S):
        received = await reader.read()
    writer.close()
    return received


REST = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer TOKEN\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET http://x/v1/vaults" + REST + b"\r\n", b"200 OK"),
        (b"GET http://x" + REST + b"\r\n", b"404 Not Found"),
        (b"GET /v1/vaults HTTP/1.0\r\nAuthorization: Bearer TOKEN\r\n\r\n", b"200 OK"),
        (b"CONNECT x:1" + REST + b"\r\n", b"404 Not Found"),
        (b"OPTIONS *" + REST + b"\r\n", b"404 Not Found"),
        (b"GET /v1/vaults" + REST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", b"200 OK"),
        (
            b"POST /v1/vaults/VAULT/items" + REST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
            b"100 Continue",
        ),
        (
            b"POST /v1/vaults/VAULT/items" + REST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            b"400 Bad Request",
        ),
        (
            b"POST /v1/vaults/VAULT/items" + REST + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
            b"400 Bad Request",
        ),
    ],
)
async def test_c12_unusual_requests(rig, sent, status):
    """C12: proxies' forms, old versions, upgrades and bodies of any framing are answered like all others."""
    received = await answered(rig, sent)
    assert received.split(b"\r\n")[0].partition(b" ")[2] == status
    assert b"1Password-Connect-Version: " in received


async def test_c12_long_headers_and_filters(rig):
    """C12: a filter or a header of fifty kilobytes and more is taken, as Go takes it."""
    response = await rig.get(
        "/v1/vaults", params={"filter": f'name eq "{"x" * 50_000}"'}, headers={"X-Long": "y" * 100_000}
    )
    assert (response.status_code, response.json()) == (200, [])


async def test_c12_fifty_connections_at_once(rig):
    """C12: fifty clients at the same time all get their answer."""
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=rig.emulator.url, verify=False, trust_env=False, limits=limits) as client:  # noqa: S501 - plain HTTP
        headers = {"Authorization": f"Bearer {rig.emulator.token('all')}"}
        path = rig.item_path()
        answers = await asyncio.gather(*(client.get(path, headers=headers) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize(
    "path",
    ["/v1/vaults", "{vault}", "{vault}/items", "{item}", "{item}/files", "{file}", "{file}/content", "/v1/activity"],
)
async def test_c13_trailing_slash_is_the_same_route(rig, path):
    """C13: a trailing slash neither redirects nor changes the answer."""
    plain, slashed = await rig.get(filled(rig, path)), await rig.get(filled(rig, path) + "/")
    assert slashed.status_code == 200
    if "activity" not in path:
        assert slashed.content == plain.content


async def test_c13_trailing_slash_on_post(rig):
    """C13: the JavaScript client creates items at a path with a slash."""
    body = {"vault": {"id": rig.vault()}, "title": "new", "category": "LOGIN"}
    assert (await rig("POST", rig.items_path() + "/", json=body)).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/nowhere",
        "/v1/vaults//items",
        "//v1/vaults",
        "{vault}/files",
        "{item}/contents",
        "{file}/content/more",
        "/",
        "/V1/vaults",
    ],
)
async def test_c14_unknown_path_is_a_json_404(rig, path):
    """C14: a path that is no route is 404 in Connect's own form."""
    response = await rig.get(filled(rig, path))
    assert (response.status_code, response.json()["status"]) == (404, 404)


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere", 404), ("/", 404), ("/vaults", 404), ("/v1", 401), ("/v1/nowhere", 401)]
)
async def test_c14_outside_of_v1_nothing_is_guarded(rig, path, status):
    """C14: without a token an unknown path is 404 outside of /v1, and 401 below it."""
    assert (await rig.get(path, token=None)).status_code == status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("OPTIONS", "/v1/vaults"),
        ("HEAD", "/v1/vaults"),
        ("POST", "/v1/vaults"),
        ("DELETE", "{vault}"),
        ("PUT", "{vault}/items"),
        ("POST", "{item}"),
        ("POST", "{item}/files"),
        ("DELETE", "{file}"),
        ("POST", "/heartbeat"),
        ("TRACE", "/v1/vaults"),
    ],
)
async def test_c15_unknown_method_is_405_or_404(launch, method, path):
    """C15: a method that a route lacks is refused at once, with 405 or, by a knob, 404."""
    rig = await launch()
    assert (await rig(method, filled(rig, path))).status_code == 405
    rig.emulator.live.turn({"unsupported_method_status": 404})
    assert (await rig(method, filled(rig, path))).status_code == 404


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def server_context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_c16_tls_with_a_custom_authority(launch, authority, server_context):
    """C16: a second port speaks TLS, and only clients that know its authority trust it."""
    rig = await launch(tls=server_context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    headers = {"Authorization": f"Bearer {rig.emulator.token('all')}"}
    async with httpx.AsyncClient(verify=trusting, trust_env=False) as client:
        response = await client.get(rig.emulator.tls_url + "/v1/vaults", headers=headers)
    assert response.status_code == 200
    async with httpx.AsyncClient(verify=ssl.create_default_context(), trust_env=False) as client:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get(rig.emulator.tls_url + "/v1/vaults", headers=headers)


async def test_c16_plain_http_to_the_tls_port_fails_cleanly(launch, server_context):
    """C16: a plain request to the port with TLS ends in an error at once, and the port lives on."""
    rig = await launch(tls=server_context)
    with pytest.raises(httpx.RemoteProtocolError):
        await rig.client.get(rig.emulator.tls_url.replace("https", "http") + "/heartbeat")
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - only whether it answers
        assert (await client.get(rig.emulator.tls_url + "/heartbeat")).status_code == 200
