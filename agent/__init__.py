"""Who decides.

settings, urls, resources, parts   the environment, and what a process is made of
state, graph, nodes                the state machine that each turn goes through
turns, answer, scoring, grounding  running a turn, its words, its figures, and what holds them to the sources
sentences                          where one ends, in text that arrives in pieces
prompting, llm, extractive         what a model is told, how one is called, and the one that needs no model
conversations, handoffs, drafts    the doors of the API: talking, taking over, tickets' replies
playground, replays                the same pipeline tried on other words, prompts and weights
jobs                               everything in the background
"""
