"""The 1Password account: its vaults, items and tokens, and what each Connect replica knows of it."""
