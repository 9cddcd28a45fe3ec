"""1Password service accounts, by 1Password's own SDK."""

from keyturn.providers.onepassword.registration import ONEPASSWORD, ONEPASSWORD_FORM

__all__ = ["ONEPASSWORD", "ONEPASSWORD_FORM"]
