"""How well something can be answered, as numbers.

assessment    from what was found to evidence and answerability
confidence    from evidence to the score with its parts and level
calibration   how probable it is that a draft of some score is approved as it is, and that an answer helps
"""
