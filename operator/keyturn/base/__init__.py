"""The ground floor, which every package may use: time, backoff, text, log lines, errors without context. No rule of Keyturn's."""
