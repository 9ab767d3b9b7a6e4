"""Questions that had no good answer, grouped by what they are about, and the article that would answer them.

clustering  groups of vectors: which one a new question belongs to, and which are one
asking      which questions had no good answer, in conversations and on tickets
looking     what was asked since the last look, and putting it into groups
listing     groups with counts, examples and what was decided about them
drafting    the missing article, from what colleagues answered
"""
