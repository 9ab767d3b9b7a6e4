"""Replays: a candidate prompt or ranking answers again what was really asked, and nothing of it reaches anybody.

rows         replays and their cases: asked for, chosen, read, cancelled
past         a stored answer or draft as it was, and the scene in which it was given
comparing    what differs between two answers, and the sum over a replay: pure
running      one replay from its first open case to its last; a crash loses at most the case at hand
jobs         the same in the background, taken up again where it was left

What makes it repeatable: each message keeps what its turn found and no other row tells later (`inputs`); history,
facts and files are read as of the turn's start; and the ticket that it opened stands for the one that it would open. What
has changed since (knowledge, prompt, ranking, a summary that was folded further) is named and never blamed on the
candidate: where an answer differs from what was stored, today's own answer tells whether the candidate did it.
"""
