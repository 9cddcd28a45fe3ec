"""The admin API: how a test or a person edits the account and disturbs the server, and a client of it."""
