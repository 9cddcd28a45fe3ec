"""The broker: hands one granted field to one known identity, just in time. Only this package imports starlette and uvicorn."""
