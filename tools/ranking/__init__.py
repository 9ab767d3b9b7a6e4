"""How a tenant's search ranks: settings with their history, and what the outcomes of answers say about the sources.

settings        read, set, reset; every change is a row
outcomes        what became of the answers and drafts that relied on each source
effectiveness   from outcomes to weights, with the uncertainty: pure
advice          both together: recommend and apply
"""
