"""The cluster's certificate authority, and the keys and certificates of its servers and users."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = dt.timedelta(days=365)
_CLOCK_SKEW = dt.timedelta(hours=1)


@dataclass(frozen=True)
class KeyPair:
    """The files of a certificate and its private key, both PEM."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority in a folder: `ca.crt`, `ca.key` and everything it issued."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = KeyPair(folder / "ca.crt", folder / "ca.key")

    @classmethod
    def create(cls, folder: Path) -> "Authority":
        """Make a new authority in `folder`, which is made as well."""
        folder.mkdir(mode=0o700, parents=True)
        authority, ca = cls(folder), trustme.CA()
        _write(authority.files.certificate, ca.cert_pem.bytes())
        _write(authority.files.key, ca.private_key_pem.bytes())
        return authority

    def server(self, name: str, *, hosts: Sequence[str]) -> KeyPair:
        """Issue a certificate for a server that is reached under `hosts`: names or addresses."""
        ca = trustme.CA.from_pem(self.files.certificate.read_bytes(), self.files.key.read_bytes())
        leaf = ca.issue_cert(*hosts)
        return self._store(name, leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes())

    def client(self, name: str, *, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """Issue a certificate by which Kubernetes knows its holder as `user`, a member of `groups`."""
        ca_certificate = x509.load_pem_x509_certificate(self.files.certificate.read_bytes())
        ca_key = serialization.load_pem_private_key(self.files.key.read_bytes(), password=None)
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        # trustme knows one organization only, and Kubernetes reads one group from each.
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject.append(x509.NameAttribute(NameOID.COMMON_NAME, user))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(subject))
            .issuer_name(ca_certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + _LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(cast("ec.EllipticCurvePrivateKey", ca_key), hashes.SHA256())
        )
        return self._store(name, certificate.public_bytes(serialization.Encoding.PEM), _pem(key))

    def signing_key(self, name: str) -> Path:
        """Make a key for signing service account tokens; Kubernetes takes the public half from the same file."""
        path = self.folder / f"{name}.key"
        _write(path, _pem(ec.generate_private_key(ec.SECP256R1())))
        return path

    def _store(self, name: str, certificate: bytes, key: bytes) -> KeyPair:
        pair = KeyPair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        _write(pair.certificate, certificate)
        _write(pair.key, key)
        return pair


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
