"""Where items come from: one folder per provider, behind `core/vault.py`."""
