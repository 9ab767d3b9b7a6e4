"""What we keep: tables, tenancy, transactions, checkpoints, facts, events, cache. Knows no model and no HTTP."""
