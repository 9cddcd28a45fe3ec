"""Where items come from: a folder for each provider, behind the seam of `core/vault.py` and `core/provider.py`."""
