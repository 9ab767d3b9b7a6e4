"""Articles as people work on them: written by hand, uploaded in bulk, compared, published and taken back.

shelf       where articles are kept, and how a change of them is noted
finding     lists and single articles, as this caller may see them
versions    what an article's text was, and what changed between two of its versions
writing     create, edit, publish
removing    discard, withdraw, delete, erase
converting  files of several kinds to articles
uploading   many files at once, put down as an import
importing   the work of an import
upkeep      indexing what is not indexed, rebuilding, and the state of it all
"""
