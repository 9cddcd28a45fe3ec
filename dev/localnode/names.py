"""Name service for pods: a Service's name becomes its address, as DNS of a real cluster answers.

Only what pods need: queries by UDP for `SERVICE.NAMESPACE.svc.cluster.local`. Nothing is cached, so a Service that was
made a moment ago is found.
"""

import http.client
import json
import socket
import ssl
import struct
import sys
from pathlib import Path
from urllib.parse import urlsplit

from localcluster.certificates import Authority
from localnode.configuration import DOMAIN
from localnode.network import ADDRESS

_PORT = 53
_ADDRESS_OF_IPV4 = 1
_INTERNET = 1
_HEADER = struct.Struct("!HHHHHH")
_ANSWER = 0x8580
_NO_SUCH_NAME = 3
_TTL = 1


def serve(server: str, authority: Authority) -> None:
    """Answer queries until the process is ended.

    Args:
        server: the address of the API server.
        authority: the cluster's, whose administrator asks for the Services.
    """
    services = _Services(server, authority)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as queries:
        queries.bind((ADDRESS, _PORT))
        while True:
            query, asker = queries.recvfrom(4096)
            try:
                answer = _answer(query, services)
            except (ValueError, IndexError, struct.error, OSError, http.client.HTTPException) as error:
                print(f"a query of {asker[0]} got no answer: {error!r}", file=sys.stderr, flush=True)
            else:
                queries.sendto(answer, asker)


class _Services:
    """The Services of the cluster."""

    def __init__(self, server: str, authority: Authority) -> None:
        self._tls = ssl.create_default_context(cafile=str(authority.files.certificate))
        self._tls.load_cert_chain(authority.folder / "admin.crt", authority.folder / "admin.key")
        self._server = urlsplit(server).netloc

    def address(self, name: str) -> str | None:
        """Return the address of the Service with this full name."""
        labels = name.lower().removesuffix(f".svc.{DOMAIN}").split(".")
        if not name.lower().endswith(f".svc.{DOMAIN}") or len(labels) != 2:
            return None
        connection = http.client.HTTPSConnection(self._server, context=self._tls, timeout=2)
        try:
            connection.request("GET", f"/api/v1/namespaces/{labels[1]}/services/{labels[0]}")
            answer = connection.getresponse()
            return json.load(answer)["spec"]["clusterIP"] if answer.status == http.HTTPStatus.OK else None
        finally:
            connection.close()


def _answer(query: bytes, services: _Services) -> bytes:
    number, _, _, _, _, _ = _HEADER.unpack_from(query)
    labels, at = [], _HEADER.size
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    kind, family = struct.unpack_from("!HH", query, at + 1)
    question = query[_HEADER.size : at + 5]
    address = services.address(".".join(labels))
    if address is None:
        return _HEADER.pack(number, _ANSWER | _NO_SUCH_NAME, 1, 0, 0, 0) + question
    if (kind, family) != (_ADDRESS_OF_IPV4, _INTERNET):
        return _HEADER.pack(number, _ANSWER, 1, 0, 0, 0) + question
    # 0xC00C: the name of the question.
    record = struct.pack("!HHHIH", 0xC00C, kind, family, _TTL, 4) + socket.inet_aton(address)
    return _HEADER.pack(number, _ANSWER, 1, 1, 0, 0) + question + record


if __name__ == "__main__":
    serve(sys.argv[1], Authority(Path(sys.argv[2])))
