"""1Password service accounts, by 1Password's own SDK."""

from keyturn.providers.onepassword.registration import ONEPASSWORD

__all__ = ["ONEPASSWORD"]
