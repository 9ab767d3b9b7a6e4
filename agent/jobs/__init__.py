"""Work that nobody waits for, in the queue and by the clock.

registry     every task under its name, with those of the drafts
knowledge    uploads, indexes and gaps
analytics    days that are over, and alerts
deliveries   webhooks on their way
whmcs        synchronisation with a tenant's WHMCS
"""
