"""Draft replies to tickets: composed by a second drawing of the graph, kept as rows, sent by a person's approval only.

shapes      what is asked for, and what a composed draft is
state       what one run of the graph finds out, and its surroundings
graph       embed, retrieve, classify, assess, respond, verify, and stop
nodes       the boxes
prompt      the tenant's prompt, asked for a written reply
files       what it learns from the files of the ticket
lookups     what the model may look up before it writes
lessons     what approved replies and corrections near a ticket contribute
lesson_vectors  what lessons are compared by, remembered
letter      greeting, closing and an honest gap around what was found
wording     the text as it is verified
composing   `compose`: the graph run once, with nothing stored
filing      from a ticket to the request, from what was composed to what is kept
desk        drafts as rows: written, written again, decided about
sending     an approved reply on its way to a ticket that lives elsewhere, at most once
automatic   drafts that nobody asked for, where the tenant wants them
jobs        the background work, and the look every minute for what was left undone
"""
