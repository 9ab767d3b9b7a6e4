"""Request and response bodies, one file per area."""
