"""Tickets: opened, routed, answered, handed up, merged, and watched by clocks. Their history is their events."""

from tools.tickets.events import add_event
from tools.tickets.lateness import mark_late
from tools.tickets.opening import open_ticket
from tools.tickets.reading import escalation_ticket, get_ticket, list_tickets

__all__ = ["add_event", "escalation_ticket", "get_ticket", "list_tickets", "mark_late", "open_ticket"]
