"""An account with organisations, collections and items, sealed as the server of a real one would hold them."""

import base64
import hashlib
import itertools
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from support.bitwarden_server.sealing import Key, private_key, public_key, seal_for_account

KINDS = {"login": 1, "secureNote": 2, "card": 3, "identity": 4, "sshKey": 5, "bankAccount": 6}
TEXT, HIDDEN, BOOLEAN, LINKED = range(4)
PASSWORD = "correct horse"
_WHEN = "2026-08-20T10:00:00.{:06d}Z"


@dataclass(frozen=True)
class Kdf:
    """How the account's key is derived; few iterations, so that tests are quick."""

    kind: int = 0
    iterations: int = 5_000
    memory: int | None = None
    parallelism: int | None = None


class Account:
    """One account: what it can see, and how it is sealed.

    Attributes:
        edits: counts the changes; the time of the last one follows from it.
        items: sealed, by id, as a sync gives them.
        contents: the sealed files, by id.
    """

    def __init__(self, *, email: str = "Robot@example.com", password: str = PASSWORD, kdf: Kdf | None = None) -> None:
        self.email = email
        self.id = str(uuid.uuid4())
        self.client_secret = uuid.uuid4().hex
        self.key = Key()
        self.sealed_private_key = self.key.seal(private_key())
        self.organizations: dict[str, tuple[str, Key]] = {}
        self.collections: dict[str, dict[str, Any]] = {}
        self.items: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.sealed_keys: dict[str, str] = {}
        self._item_keys: dict[str, Key] = {}
        self.edits = 0
        self._stamps = itertools.count(1)
        self.set_password(password, kdf=kdf or Kdf())

    @property
    def credential(self) -> dict[str, str]:
        """What the Secret of a Connection holds."""
        return {"clientId": f"user.{self.id}", "clientSecret": self.client_secret, "masterPassword": self.password}

    @property
    def revision(self) -> int:
        """When the account last changed, in milliseconds."""
        return 1_790_000_000_000 + self.edits

    def set_password(self, password: str, *, kdf: Kdf) -> None:
        """Choose another master password, or another derivation of the key."""
        self.password, self.kdf = password, kdf
        master = Key.derived(
            password,
            self.email.strip().lower(),
            kind=kdf.kind,
            iterations=kdf.iterations,
            memory=kdf.memory or 0,
            parallelism=kdf.parallelism or 0,
        )
        self.sealed_key = master.seal(self.key.material)
        self.edits += 1

    def add_collection(self, title: str, *, organization: str = "Acme") -> str:
        """A collection, and its organisation if there is none of that name. Returns its id."""
        if organization not in self.organizations:
            key = Key()
            self.organizations[organization] = (str(uuid.uuid4()), key)
            self.sealed_keys[organization] = seal_for_account(key)
        owner, key = self.organizations[organization]
        collection = str(uuid.uuid4())
        self.collections[collection] = {
            "id": collection,
            "organizationId": owner,
            "name": key.seal(title),
            "externalId": None,
            "object": "collectionDetails",
            "readOnly": True,
            "hidePasswords": False,
            "manage": False,
            "type": 0,
        }
        self.edits += 1
        return collection

    def add(
        self,
        title: str,
        *,
        kind: str = "login",
        properties: Mapping[str, str] | None = None,
        uris: Sequence[str] = (),
        notes: str | None = None,
        fields: Sequence[tuple[int, str, str | int | None]] = (),
        files: Mapping[str, bytes] | None = None,
        collections: Sequence[str] = (),
        own_key: bool = True,
    ) -> str:
        """An item. Returns its id.

        Args:
            title: of it.
            kind: of it, as the member that holds its properties is named.
            properties: of it, such as `username`.
            uris: of a login.
            notes: of it.
            fields: custom ones: type, name and value; of a linked one, the number of the property.
            files: name and content.
            collections: ids; none for the account's own items.
            own_key: whether it has a key of its own.
        """
        owner, owners_key = self._owner(collections)
        key = Key() if own_key else owners_key
        part: dict[str, Any] = {name: key.seal(value) for name, value in (properties or {}).items()}
        if kind == "login":
            part["uris"] = [_uri(key, uri) for uri in uris] or None
            part["uri"] = part["uris"][0]["uri"] if uris else None
            part = {"username": None, "password": None, "totp": None, "passwordRevisionDate": None, **part}
        if kind == "secureNote":
            part = {"type": 0}
        item = str(uuid.uuid4())
        self._item_keys[item] = key
        self.items[item] = {
            "object": "cipherDetails",
            "id": item,
            "type": KINDS[kind],
            "organizationId": owner,
            "folderId": None,
            "favorite": False,
            "edit": True,
            "viewPassword": True,
            "permissions": {"delete": True, "restore": True},
            "organizationUseTotp": True,
            "collectionIds": list(collections),
            "name": key.seal(title),
            "notes": None if notes is None else key.seal(notes),
            **dict.fromkeys(KINDS),
            kind: part,
            "data": json.dumps({**part, "Name": key.seal(title)}),
            "fields": [_field(key, *each) for each in fields] or None,
            "passwordHistory": [{"password": key.seal("old"), "lastUsedDate": _WHEN.format(0)}],
            "attachments": None,
            "key": owners_key.seal(key.material) if own_key else None,
            "reprompt": 0,
            "creationDate": _WHEN.format(next(self._stamps)),
            "revisionDate": _WHEN.format(next(self._stamps)),
            "deletedDate": None,
            "archivedDate": None,
        }
        for name, content in (files or {}).items():
            self.attach(item, name, content)
        self.edits += 1
        return item

    def item_key(self, item: str) -> Key:
        """The key of an item, as its holders have it."""
        return self._item_keys[item]

    def attach(self, item: str, name: str, content: bytes, *, own_key: bool = True) -> str:
        """Add a file to an item. Returns its id."""
        key = self.item_key(item)
        _, owners_key = self._owner(self.items[item]["collectionIds"])
        content_key = Key() if own_key else owners_key
        file = uuid.uuid4().hex[:20]
        self.contents[file] = content_key.seal_file(content)
        described = {
            "id": file,
            "fileName": key.seal(name),
            "size": str(len(self.contents[file])),
            "sizeName": "some",
            "key": key.seal(content_key.material) if own_key else None,
            "object": "attachment",
        }
        attachments = self.items[item]["attachments"] or []
        self.change(item, attachments=[*attachments, described])
        return file

    def change(self, item: str, **members: Any) -> None:
        """Replace members of an item, sealed or not, as they are."""
        self.items[item] = {**self.items[item], **members, "revisionDate": _WHEN.format(next(self._stamps))}
        self.edits += 1

    def set_property(self, item: str, name: str, value: str) -> None:
        """Change a property, such as the password."""
        described = self.items[item]
        kind = next(kind for kind, number in KINDS.items() if number == described["type"])
        self.change(item, **{kind: {**described[kind], name: self.item_key(item).seal(value)}})

    def trash(self, item: str) -> None:
        """Put an item into the trash."""
        self.change(item, deletedDate=_WHEN.format(0))

    def delete(self, item: str) -> None:
        """Delete an item for good."""
        del self.items[item]
        self.edits += 1

    def unlocking(self) -> dict[str, Any]:
        """How the account is unlocked, with the names that a sync has."""
        return {
            "kdf": {
                "kdfType": self.kdf.kind,
                "iterations": self.kdf.iterations,
                "memory": self.kdf.memory,
                "parallelism": self.kdf.parallelism,
            },
            "masterKeyEncryptedUserKey": self.sealed_key,
            "masterKeyWrappedUserKey": self.sealed_key,
            "salt": self.email.strip().lower(),
        }

    def profile(self) -> dict[str, Any]:
        """The account itself, with the organisations that it is in."""
        return {
            "id": self.id,
            "name": "Robot",
            "email": self.email,
            "emailVerified": True,
            "premium": True,
            "premiumFromOrganization": False,
            "culture": "en-US",
            "twoFactorEnabled": False,
            "key": self.sealed_key,
            "privateKey": self.sealed_private_key,
            "accountKeys": {
                "publicKeyEncryptionKeyPair": {
                    "wrappedPrivateKey": self.sealed_private_key,
                    "publicKey": public_key(),
                    "signedPublicKey": None,
                    "object": "publicKeyEncryptionKeyPair",
                },
                "securityState": None,
                "signatureKeyPair": None,
                "object": "privateKeys",
            },
            "securityStamp": "stamp",
            "organizations": [
                _organization(owner, name, self.sealed_keys[name]) for name, (owner, _) in self.organizations.items()
            ],
            "providers": [],
            "providerOrganizations": [],
            "forcePasswordReset": False,
            "avatarColor": None,
            "usesKeyConnector": False,
            "creationDate": _WHEN.format(0),
            "object": "profile",
        }

    def _owner(self, collections: Sequence[str]) -> tuple[str | None, Key]:
        if not collections:
            return None, self.key
        owner = self.collections[collections[0]]["organizationId"]
        return owner, next(key for each, key in self.organizations.values() if each == owner)


def _uri(key: Key, uri: str) -> dict[str, Any]:
    """A web address. Clients show it only if the checksum beside it is right."""
    checksum = base64.b64encode(hashlib.sha256(uri.encode()).digest())
    return {"uri": key.seal(uri), "uriChecksum": key.seal(checksum), "match": None}


def _field(key: Key, kind: int, name: str, value: str | int | None) -> dict[str, Any]:
    linked = value if kind == LINKED else None
    sealed = key.seal(value) if isinstance(value, str) else None
    return {"type": kind, "name": key.seal(name), "value": sealed, "linkedId": linked}


_TRUE = (
    *("enabled", "use2fa", "useApi", "useCustomPermissions", "useEvents", "useGroups", "usePasswordManager"),
    *("usePolicies", "useTotp", "usersGetPremium", "selfHost", "hasPublicAndPrivateKeys", "limitCollectionDeletion"),
    *("allowAdminAccessToAllCollectionItems", "limitCollectionCreation", "useDisableSMAdsForUsers"),
)
_FALSE = (
    *("useActivateAutofillPolicy", "useAdminSponsoredFamilies", "useDirectory", "useKeyConnector", "useResetPassword"),
    *("useRiskInsights", "useScim", "useSecretsManager", "useSso", "ssoBound", "resetPasswordEnrolled"),
    *(
        "useInviteLinks",
        "useMyItems",
        "useOrganizationDomains",
        "usePam",
        "usePhishingBlocker",
        "useAccessIntelligence",
    ),
    *("accessSecretsManager", "familySponsorshipAvailable", "keyConnectorEnabled", "limitItemDeletion"),
    *("userIsClaimedByOrganization", "userIsManagedByOrganization", "isAdminInitiated", "ssoEnabled"),
)
_PERMISSIONS = (
    *("accessEventLogs", "accessImportExport", "accessReports", "createNewCollections", "editAnyCollection"),
    *("deleteAnyCollection", "manageGroups", "managePolicies", "manageSso", "manageUsers", "manageResetPassword"),
    "manageScim",
)
_ABSENT = (
    *("identifier", "maxCollections", "providerId", "providerName", "providerType", "familySponsorshipFriendlyName"),
    *("familySponsorshipLastSyncDate", "familySponsorshipValidUntil", "familySponsorshipToDelete", "keyConnectorUrl"),
)


def _organization(owner: str, name: str, sealed_key: str) -> dict[str, Any]:
    return {
        **dict.fromkeys(_TRUE, True),
        **dict.fromkeys(_FALSE, False),
        **dict.fromkeys(_ABSENT),
        "permissions": dict.fromkeys(_PERMISSIONS, False),
        "id": owner,
        "name": name,
        "key": sealed_key,
        "seats": 20,
        "maxStorageGb": 32767,
        "productTierType": 3,
        "organizationUserId": str(uuid.uuid5(uuid.NAMESPACE_URL, owner)),
        "userId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{owner}/user")),
        "status": 2,
        "type": 2,
        "object": "profileOrganization",
    }
