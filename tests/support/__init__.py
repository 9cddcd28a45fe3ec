"""Helpers that tests of all kinds share."""
