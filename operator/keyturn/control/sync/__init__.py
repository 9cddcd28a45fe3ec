"""Brings Secrets to what their items hold: one pass over one request, in phases, with one place that concludes it."""
