"""Whether a unit of an answer may be released: it claims nothing, or a passage of this turn says it. Pure.

A claim is supported by a passage when, within at most WINDOW of the passage's own units (with title and heading),

    facts       each number with its unit, identifier, address, code and name of the claim occurs,
    action      it does not say that something was done for the customer, unless the passage speaks so too,
    words       COVERAGE of the content words occur, and no clause is mostly new,
    strength    no strong word ("free", "always", "guaranteed") is added,
    polarity    no word is replaced by its opposite, and the clauses that match are negated alike,
    values      the closest clause does not give another value of the same kind,
    copies      where it copies a unit nothing was altered on the way, and no condition left out (`copies.py`).

What the cited passage says otherwise is not excused by another passage that happens to have the words.

Words are compared as stems. A claim in another language than the passage cannot be compared by words: it is supported
where it cites the passage and all of its facts occur there ("translated").
"""

from agent.grounding.verify import Reason, Support, verify_sentence

__all__ = ["Reason", "Support", "verify_sentence"]
