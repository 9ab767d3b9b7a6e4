"""The built-in model, the default without a key: it answers only with what the passages in the prompt say, cited.

blocks      a passage as sentences, lists, tables and code
choosing    which passage answers the question, and which of its blocks
files       the same for files that came with the conversation
chat        the same as a LangChain chat model that streams
"""

from agent.extractive.chat import ExtractiveChat
from agent.extractive.choosing import SentenceScorer

__all__ = ["ExtractiveChat", "SentenceScorer"]
