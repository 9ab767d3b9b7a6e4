"""WHMCS: its API called, its tickets taken over, approved replies sent to it. Nothing is written there but those."""
