"""Bearer tokens: ES256 JWTs with vault grants, as 1Password signs them for one Connect server."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from connect_emulator.account.ids import Ids, derive
from connect_emulator.clock import Clock
from connect_emulator.errors import ApiError

ANY = "*"
AUDIENCE = "com.1password.connect"
_VERB_BITS = {"r": 1, "w": 2}
_MAX_VERIFIED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token: `grants` maps vault ids (or `*`) to `r`, `w` or `rw`; times are seconds since 1970."""

    name: str
    jti: str
    text: str = field(repr=False)
    grants: Mapping[str, str]
    issued_at: float
    expires_at: float | None = None
    revoked: bool = False

    def verbs(self, vault_id: str) -> str:
        """What the token may do in a vault: a text of `r` and `w`, empty if the vault is out of scope."""
        return self.grants.get(vault_id) or self.grants.get(ANY, "")


class Authority:
    """Issues and checks tokens of this server.

    The signing key follows from the seed, so a token outlives a restart of an emulator with the same seed and
    description, as a real token outlives that of its Connect server.
    """

    def __init__(self, *, ids: Ids, clock: Clock, server_grants: Mapping[str, str] | None = None) -> None:
        self._ids = ids
        self._clock = clock
        self._server_grants = server_grants or {ANY: "rw"}
        self.server_id = derive(ids.seed, "server").upper()
        self.account = derive(ids.seed, "account").upper()
        secret = int.from_bytes(f"{derive(ids.seed, 'key')}".encode(), "big")
        self._key = ec.derive_private_key(secret % (2**255) + 1, ec.SECP256R1())
        self._kid = derive(ids.seed, "kid")
        self._by_jti: dict[str, Token] = {}
        self._latest: dict[str, str] = {}
        self._verified: dict[str, str] = {}

    def issue(
        self, name: str, grants: Mapping[str, str], *, expires_at: float | None = None, revoke_previous: bool = False
    ) -> Token:
        """A new token under `name`. An earlier one of that name stays valid unless `revoke_previous`."""
        if revoke_previous and name in self._latest:
            self.revoke(name)
        jti = self._ids.named("token", name)
        issued = self._clock.now()
        claims: dict[str, object] = {
            "aud": [AUDIENCE],
            "iss": "com.1password.b5",
            "sub": self.server_id,
            "jti": jti,
            "iat": int(issued),
            "1password.com/auuid": self.account,
            "1password.com/token": derive(self._ids.seed, "secret", jti),
            "1password.com/fts": ["vaultaccess"],
            "1password.com/vts": [
                {"u": vault_id, "a": sum(_VERB_BITS[verb] for verb in verbs)} for vault_id, verbs in grants.items()
            ],
        }
        if expires_at is not None:
            claims["exp"] = int(expires_at)
        text = jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._kid})
        token = Token(name=name, jti=jti, text=text, grants=dict(grants), issued_at=issued, expires_at=expires_at)
        self._by_jti[jti] = token
        self._latest[name] = jti
        return token

    def token(self, name: str) -> Token:
        """The latest token of that name.

        Raises:
            KeyError: none was issued.
        """
        return self._by_jti[self._latest[name]]

    def tokens(self) -> list[Token]:
        """All tokens ever issued, oldest first."""
        return list(self._by_jti.values())

    def revoke(self, name: str) -> Token:
        """End the latest token of that name at once."""
        return self._put(replace(self.token(name), revoked=True))

    def expire(self, name: str, *, at: float | None = None) -> Token:
        """Let the latest token of that name expire at `at`, now if not given."""
        return self._put(replace(self.token(name), expires_at=self._clock.now() if at is None else at))

    def check(self, authorization: str | None, *, missing: str) -> Token:
        """The token of an Authorization header. The scheme's name may have any case (inferred).

        Raises:
            ApiError: 401; with the text `missing` if there is no header.
        """
        if not authorization:
            raise ApiError(401, missing)
        scheme, _, text = authorization.partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer" or not text:
            raise ApiError(401, "Invalid bearer token")
        jti = self._verified.get(text) or self._verify(text)
        token = self._by_jti.get(jti)
        if token is None or token.revoked:
            raise ApiError(401, "Invalid bearer token")
        if token.expires_at is not None and self._clock.now() >= token.expires_at:
            raise ApiError(401, "Invalid bearer token")
        return token

    def verbs(self, token: Token, vault_id: str) -> str:
        """What `token` may do in a vault, within what the server may (seen)."""
        server = self._server_grants.get(vault_id) or self._server_grants.get(ANY, "")
        return "".join(verb for verb in token.verbs(vault_id) if verb in server)

    def _put(self, token: Token) -> Token:
        self._by_jti[token.jti] = token
        return token

    def _verify(self, text: str) -> str:
        try:
            claims = jwt.decode(
                text,
                self._key.public_key(),
                algorithms=["ES256"],
                audience=AUDIENCE,
                # Times are judged by the emulator's own clock, in `check`.
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["jti", "sub"]},
            )
        except jwt.InvalidSignatureError:
            raise ApiError(401, "Invalid token signature") from None
        except (jwt.PyJWTError, ValueError):
            raise ApiError(401, "Invalid bearer token") from None
        if claims["sub"] != self.server_id:
            raise ApiError(401, "Invalid bearer token")
        if len(self._verified) >= _MAX_VERIFIED:
            self._verified.clear()
        jti = str(claims["jti"])
        self._verified[text] = jti
        return jti
