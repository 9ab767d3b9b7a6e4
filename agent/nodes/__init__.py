"""The boxes of a turn, as adapters: each takes what it needs from the state, calls one function, writes one finding.

judging     before the answer: judge (guard, recall, retrieve, classify, assess), and the ways on from there
answering   the model's part: respond, which verifies while it streams, and the tools that it calls
closing     every other end: clarify, smalltalk, file_ticket, refuse, escalate; and what is remembered at each

What they call and nobody else does: `followups` (a question in words of its own), `second_opinion` (on messages that the
guard let through in doubt), `sent_files` (what came with the conversation).
"""
