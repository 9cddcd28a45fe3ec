"""The rules: small pure functions over frozen models, with no I/O and no clock."""
