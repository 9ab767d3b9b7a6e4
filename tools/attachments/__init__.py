"""Files that people send: taken by their content, kept by digest, read as hostile.

names       a file's name made harmless, and as a download's header
kinds       what a file is, sniffed from its bytes, and what is taken at all
storing     upload, bind to a message or a ticket's event, find what a caller may see
extractor   text from a file: a program of its own that runs limited and is killed when it takes too long
extracting  running that program
excerpts    the text as passages, ranked for a question
reading     what a turn may be told of its session's files
asking      whether a question is about a file
forgetting  uploads that nobody sent, and a customer's files
"""
