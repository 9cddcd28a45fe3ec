"""The certificate that the broker serves: read again when its files change, so that a renewal needs no restart."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Final

from keyturn.base.log import StateLog, info, warning
from keyturn.base.time import Time

_log = logging.getLogger(__name__)

_LOOK_EVERY: Final = 1.0
"""Seconds at least between two looks at the files."""

_NOT_READ = warning("the certificate {state}, so the one before stays in use: {detail}")
_READ = info("the certificate is read again, after {duration}")

_Stamp = tuple[int, ...]


class CertificateUnusable(Exception):
    """The certificate or its key cannot be used; the text is one line that says which and why, and quotes neither."""


class Certificate:
    """A certificate with its chain, and its key.

    Args:
        cert_file: in PEM.
        key_file: in PEM, without a password.
        time: since the last look at the files.

    Raises:
        CertificateUnusable: they cannot be read now.
    """

    def __init__(self, cert_file: Path, key_file: Path, *, time: Time) -> None:
        self._files = (cert_file, key_file)
        self._time = time
        self._state = StateLog(_log, failed=_NOT_READ, recovered=_READ, time=time)
        self._looked_at = time.monotonic()
        self._stamp = self._stamp_now()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """What a new connection is served with: the certificate as it is now, or the last one that could be read."""
        now = self._time.monotonic()
        if now - self._looked_at >= _LOOK_EVERY:
            self._looked_at = now
            # Not remembered unless it could be read: both files change, and not in the same moment.
            if (stamp := self._stamp_now()) != self._stamp:
                try:
                    self._context = self._load()
                except CertificateUnusable as error:
                    self._state.bad("cannot be read", str(error))
                else:
                    self._stamp = stamp
                    self._state.good()
        return self._context

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        cert_file, key_file = self._files
        problem = ""
        try:
            # Without a password of its own, it would ask a terminal for that of an encrypted key.
            context.load_cert_chain(cert_file, key_file, password="")
        except ssl.SSLError as error:
            problem = f"{cert_file} and {key_file} are not a certificate and its key: {error.reason or 'unreadable'}"
        except OSError as error:
            missing = next((each for each in self._files if not each.is_file()), cert_file)
            problem = f"{missing}: {error.strerror or 'cannot be read'}"
        if problem:
            raise CertificateUnusable(problem)
        return context

    def _stamp_now(self) -> tuple[_Stamp, ...]:
        """Differs from before if a file is another one now."""
        return tuple(_stamp_of(each) for each in self._files)


def _stamp_of(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
