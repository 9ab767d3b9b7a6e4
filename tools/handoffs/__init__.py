"""People in the conversation: asking for one, the queue, and what they do there."""
