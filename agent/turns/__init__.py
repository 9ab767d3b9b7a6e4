"""One turn, from the message that begins it to the row that keeps its answer.

admission   how many turns are in their first half at a time, and whose comes next
scenes      the conversation as a turn finds it, read in two statements
preparing   the surroundings that the graph is given
running     leases, heartbeats, waiting turns, cancelling, and taking up what another process lost
results     what is kept of an answer
rehearsal   the same turn with nothing stored or done, for the playground and replays
"""
