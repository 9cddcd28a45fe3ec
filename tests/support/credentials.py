"""What a login consists of, as the Kubernetes client would use it."""

from __future__ import annotations

from dataclasses import dataclass

from keyturn.cluster.access import Access


@dataclass(frozen=True, slots=True)
class Credentials:
    """The address of the API server and the login to it."""

    server: str
    ca_path: str | None
    certificate_path: str | None
    private_key_path: str | None
    scheme: str
    token: str
    insecure: bool
    proxy: str | None


async def credentials_of(access: Access) -> Credentials:
    """The credentials as they are at this moment."""
    known = access.configuration
    scheme, _, token = (await known.get_api_key_with_prefix("BearerToken") or "").partition(" ")
    return Credentials(
        server=known.host,
        ca_path=known.ssl_ca_cert,
        certificate_path=known.cert_file,
        private_key_path=known.key_file,
        scheme=scheme.capitalize(),
        token=token.strip(),
        insecure=not known.verify_ssl,
        proxy=known.proxy,
    )
