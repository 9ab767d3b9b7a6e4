"""How it is reached: HTTP, server-sent events, the command line."""
