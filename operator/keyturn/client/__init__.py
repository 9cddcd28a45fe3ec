"""The command line client of the broker: Python's standard library alone, from Python 3.9 on, and nothing else of Keyturn."""

CLIENT_COMMANDS = ("read", "run", "inject", "items", "sync", "grants")
"""The commands that ask a broker."""
