"""Bitwarden and Vaultwarden: a client of their API that logs in with an API key and opens items itself.

Only `BITWARDEN` is meant for the rest of Keyturn.
"""

from keyturn.providers.bitwarden.registration import BITWARDEN

__all__ = ["BITWARDEN"]
