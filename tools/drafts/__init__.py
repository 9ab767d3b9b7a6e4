"""Drafts of replies as rows: written, found, decided about, and sent at most once.

reading    one draft, the queue of those that wait, those of a ticket
writing    a composed draft becomes a row; at most one of a ticket waits
deciding   approve or reject: exactly one decision holds
outbox     approved replies on their way there, and what is known of each
asking     what a ticket's draft is to answer, and whether it still does
"""
