"""The 1Password Connect side: client, errors, credential, and the provider behind the seam of `core.vault`."""
