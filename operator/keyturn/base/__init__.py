"""What every package may use: time, backoff, text, log lines, errors without context. It knows no rule of Keyturn."""
