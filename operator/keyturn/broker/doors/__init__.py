"""The doors of the broker: each reads requests in its own form, asks the one path of a read, and answers in its own form."""
