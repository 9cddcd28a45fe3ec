"""Restarts the workloads that use what changed; knows neither requests nor passes over them."""
