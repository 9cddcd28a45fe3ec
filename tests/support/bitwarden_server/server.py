"""What the server answers, as a function of requests: below it may be a network or nothing."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support.bitwarden_server.account import Account


@dataclass(frozen=True)
class Seen:
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def line(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes:
        cut: bytes of the body after which the connection ends; None if it is sent whole.
        dropped: whether the connection ends before any answer.
        seconds: before the answer begins.
        pause: seconds after each byte of the body.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    dropped: bool = False
    seconds: float = 0.0
    pause: float = 0.0


@dataclass
class Fault:
    """What a route answers in place of the truth.

    Attributes:
        path: how the path of the request begins.
        answer: given in place of, or made of, the right answer.
        times: for how many requests.
    """

    path: str
    answer: Answer | Callable[[Answer], Answer]
    times: float = float("inf")


class BitwardenServer:
    """One server with one account.

    Attributes:
        account: what is in it.
        url: where it is; addresses of files begin with it.
        seen: all requests since the last look.
        requests: how many there were.
        faults: the first that fits decides.
        lifetime: seconds for which a token is good, as logins have it.
        edit_sync: changes what a sync gives.
    """

    def __init__(self, account: Account, *, url: str = "https://vault.test", capitals: bool = False) -> None:
        self.account = account
        self.url = url
        self.seen: list[Seen] = []
        self.requests = 0
        self.faults: list[Fault] = []
        self.lifetime = 7200
        self.file_url = ""
        self.edit_sync: Callable[[dict[str, Any]], object] = lambda _: None
        self._capitals = capitals
        self._tokens: set[str] = set()
        self._logins = 0

    @property
    def lines(self) -> list[str]:
        """Method and path of all requests since the last look."""
        lines = [seen.line for seen in self.seen]
        self.seen.clear()
        return lines

    def revoke(self) -> None:
        """Refuse all tokens that were given."""
        self._tokens.clear()

    def fail(self, path: str, answer: Answer | Callable[[Answer], Answer], *, times: float = float("inf")) -> Fault:
        """From now on, a route answers something else."""
        self.faults.insert(0, fault := Fault(path, answer, times))
        return fault

    def answer(self, seen: Seen) -> Answer:
        """Answer a request."""
        self.seen.append(seen)
        self.requests += 1
        answer = self.honest(seen)
        for fault in self.faults:
            if seen.path.startswith(fault.path) and fault.times > 0:
                fault.times -= 1
                return fault.answer if isinstance(fault.answer, Answer) else fault.answer(answer)
        return answer

    def honest(self, seen: Seen) -> Answer:
        """The right answer to a request."""
        path = urlsplit(seen.path).path
        if path == "/identity/connect/token":
            return self._login(parse_qs(seen.body.decode()))
        if path == "/api/config":
            return self._json(self._config())
        if match := re.fullmatch(r"/attachments/([^/]+)/([^/]+)", path):
            known = self._file(match[1], match[2]) is not None
            return Answer(body=self.account.contents[match[2]]) if known else Answer(404)
        if seen.headers.get("authorization", "").removeprefix("Bearer ") not in self._tokens:
            return Answer(401)
        return self._authorized(path)

    def _authorized(self, path: str) -> Answer:
        account = self.account
        plain: dict[str, Callable[[], Any]] = {
            "/api/accounts/revision-date": lambda: account.revision,
            "/api/sync": self._sync,
            "/api/accounts/profile": account.profile,
            "/api/accounts/key-management/user-key-id": dict,
        }
        if path in plain:
            return self._json(plain[path]())
        if match := re.fullmatch(r"/api/ciphers/([^/]+)/attachment/([^/]+)", path):
            file = self._file(match[1], match[2])
            if file is None:
                return self._json({"message": "Attachment doesn't exist", "object": "error"}, status=404)
            where = self.file_url or f"{self.url}/attachments/{match[1]}/{match[2]}?token={len(self.seen)}"
            return self._json({**file, "url": where})
        return self._json({"message": "not here", "object": "error"}, status=404)

    def _file(self, item: str, file: str) -> dict[str, Any] | None:
        files = (self.account.items.get(item) or {}).get("attachments") or []
        return next((each for each in files if each["id"] == file), None)

    def _login(self, form: Mapping[str, list[str]]) -> Answer:
        account = self.account
        given = (form.get("client_id"), form.get("client_secret"), form.get("grant_type"), form.get("scope"))
        if given != ([f"user.{account.id}"], [account.client_secret], ["client_credentials"], ["api"]):
            return self._json({"error": "", "ErrorModel": {"Message": "Incorrect client_secret"}}, status=400)
        self._logins += 1
        token = _token({"sub": account.id, "email": account.email, "exp": 4_000_000_000, "n": self._logins})
        self._tokens.add(token)
        unlocking = account.unlocking()
        return self._json(
            {
                "access_token": token,
                "expires_in": self.lifetime,
                "token_type": "Bearer",
                "scope": "api",
                "Key": account.sealed_key,
                "PrivateKey": account.sealed_private_key,
                "Kdf": account.kdf.kind,
                "KdfIterations": account.kdf.iterations,
                "KdfMemory": account.kdf.memory,
                "KdfParallelism": account.kdf.parallelism,
                "ResetMasterPassword": False,
                "ForcePasswordReset": False,
                "AccountKeys": account.profile()["accountKeys"],
                "UserDecryptionOptions": {
                    "HasMasterPassword": True,
                    "MasterPasswordUnlock": _capitals(unlocking),
                    "Object": "userDecryptionOptions",
                },
            }
        )

    def _sync(self) -> dict[str, Any]:
        account = self.account
        items = []
        for item in account.items.values():
            files = [
                {**file, "url": f"{self.url}/attachments/{item['id']}/{file['id']}?token={len(self.seen)}"}
                for file in item["attachments"] or []
            ]
            items.append({**item, "attachments": files or None})
        sync = {
            "profile": account.profile(),
            "folders": [],
            "collections": list(account.collections.values()),
            "policies": [],
            "ciphers": items,
            "domains": None,
            "sends": [],
            "userDecryption": {"masterPasswordUnlock": account.unlocking()},
            "object": "sync",
        }
        self.edit_sync(sync)
        return sync

    def _config(self) -> dict[str, Any]:
        return {
            "version": "2026.6.0",
            "gitHash": None,
            "server": {"name": "Vaultwarden", "url": "https://github.com/dani-garcia/vaultwarden"},
            "settings": {"disableUserRegistration": True},
            "environment": {
                "vault": self.url,
                "api": f"{self.url}/api",
                "identity": f"{self.url}/identity",
                "notifications": f"{self.url}/notifications",
                "sso": "",
                "cloudRegion": None,
            },
            "push": {"pushTechnology": 0, "vapidPublicKey": None},
            "featureStates": {},
            "object": "config",
        }

    def _json(self, body: Any, *, status: int = 200) -> Answer:
        shown = _capitals(body) if self._capitals else body
        return Answer(status, json.dumps(shown).encode(), {"content-type": "application/json"})


def _capitals(body: Any) -> Any:
    """The same with names of members that begin with capitals, as older servers have it; but not those of OAuth."""
    if isinstance(body, dict):
        return {
            (name if "_" in name else name[:1].upper() + name[1:]): _capitals(value) for name, value in body.items()
        }
    return [_capitals(each) for each in body] if isinstance(body, list) else body


def _token(claims: Mapping[str, Any]) -> str:
    parts = (
        {"alg": "none", "typ": "JWT"},
        {"nbf": 0, "iss": "test", "premium": True, "amr": ["Application"], **claims},
    )
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2ln"])
