"""What the tests of 1Password's own clients share: their installation, their drivers, and the account they look at."""
