"""Telling a tenant's own systems what happens here, as Standard Webhooks say: at least once, signed, under a stable id."""
