"""How it is reached: HTTP, server-sent events, the command line."""

PREFIX = "/api/v1"
"""Before every route but those of operations."""
