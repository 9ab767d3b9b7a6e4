"""What is learned from people's decisions about drafts: kept as rows, redacted, and indexed as the tenant's own source."""
