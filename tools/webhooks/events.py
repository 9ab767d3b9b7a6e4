"""The names of events that an endpoint may ask for, each with what it tells; `*` is all of them.

They are written by two triggers, in the transaction of the event: the durable events of a session as a watcher sees
them, with `session_id` and `n`, and the history of a ticket with `ticket_id`, `number`, `subject`, `status`,
`priority`, `customer_id`, `session_id` and `actor`. A note is for colleagues alone and never sent.
"""

EVERYTHING = "*"
TEST = "webhook.test"

EVENTS: dict[str, str] = {
    "message.created": "words of a customer, a colleague or the system",
    "message.completed": "an answer of the bot, with sources and confidence",
    "turn.queued": "a message waits behind a running answer",
    "turn.started": "an answer begins",
    "turn.completed": "an answer ended",
    "turn.failed": "an answer could not be given, with the reason",
    "turn.cancelled": "an answer was stopped, with the reason",
    "handoff.requested": "a conversation waits for a person",
    "handoff.claimed": "a colleague took it",
    "handoff.released": "it went back to the bot, or into the queue",
    "handoff.resolved": "the colleague is done",
    "session.closed": "a conversation ended",
    "ticket.created": "a ticket was opened",
    "ticket.classified": "intent, severity and tier were found",
    "ticket.corrected": "a colleague set them right",
    "ticket.routed": "a rule chose a team or a colleague",
    "ticket.assigned": "a team or a colleague was chosen by hand",
    "ticket.status_changed": "from one status to another",
    "ticket.reopened": "it was resolved or closed, and is open again",
    "ticket.priority_changed": "from one priority to another",
    "ticket.department_changed": "from one department to another",
    "ticket.reply": "words of the customer or a colleague",
    "ticket.escalated": "to another tier",
    "ticket.merged": "two tickets became one",
    "ticket.linked": "it is a duplicate of another",
    "ticket.sla_missed": "a clock ran out",
    "ticket.claimed": "its conversation was taken by a colleague",
    "ticket.reassigned": "its conversation was given to another colleague",
    "ticket.released": "its conversation was given back",
    "ticket.handoff_resolved": "the colleague is done with its conversation",
    "ticket.returned_to_queue": "its customer waited too long for the colleague",
}
