"""From what a model writes to what a customer reads.

answering   the answer of a turn: verified, stored and shown sentence by sentence
links       which addresses may be clicked
unspoken    what is known and must not be said
matters     several questions that are answered together
"""
