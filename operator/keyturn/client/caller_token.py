"""The token with which the client identifies itself: from the file that the kubelet renews, or from kubectl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from keyturn.client.failures import NotIdentified

TOKEN_AUDIENCE = "keyturn"  # noqa: S105 - a word
"""Whom a token of ours is for. The API server's own audience is never used: the broker must not be able to act as the caller there."""

_LONGEST = 64 * 1024
_KUBECTL_SECONDS = 30


@dataclass(frozen=True)
class CallerToken:
    """Where the token comes from, at each request again, because it is renewed every few minutes.

    Attributes:
        file: the file with the token.
        service_account: if set, the service account, as namespace and name, for which `kubectl create token` is asked.
    """

    file: Path
    service_account: tuple[str, str] | None = None

    def read(self) -> str:
        """The present token.

        Raises:
            NotIdentified: there is none.
        """
        return self._of_kubectl(*self.service_account) if self.service_account else self._of_file()

    def _of_file(self) -> str:
        try:
            with self.file.open("rb") as file:
                token = file.read(_LONGEST)
        except OSError as error:
            raise NotIdentified(
                f"cannot read the token file {self.file}: {error.strerror}; mount a projected service account token "
                f"with the audience {TOKEN_AUDIENCE}, or set KEYTURN_TOKEN_FILE"
            ) from None
        return _checked(token, f"the token file {self.file}")

    @staticmethod
    def _of_kubectl(namespace: str, name: str) -> str:
        command = ["kubectl", "create", "token", name, f"--namespace={namespace}", f"--audience={TOKEN_AUDIENCE}"]
        try:
            made = subprocess.run(command, capture_output=True, check=False, timeout=_KUBECTL_SECONDS)
        except OSError as error:
            raise NotIdentified(f"cannot run kubectl: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise NotIdentified(f"kubectl made no token within {_KUBECTL_SECONDS} s") from None
        if made.returncode:
            lines = made.stderr.decode("utf-8", "replace").strip().splitlines() or ["it says nothing"]
            raise NotIdentified(f"kubectl made no token: {lines[-1]}")
        return _checked(made.stdout, "kubectl's answer")


def _checked(token: bytes, where: str) -> str:
    """A token that can stand in a header; what else a file holds must not be sent anywhere."""
    text = token.strip()
    if not text or not text.isascii() or any(byte <= 0x20 or byte == 0x7F for byte in text):
        raise NotIdentified(f"{where} holds no token: a token is one line of letters, digits and punctuation")
    return text.decode("ascii")
