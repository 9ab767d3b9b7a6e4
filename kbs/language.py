"""The model that tells in which language a text is. A process loads it once (half a second), when first asked."""

from copy import copy
from functools import cache
from typing import Any


def load_languages() -> None:
    """Read the model now, where the wait hurts nobody."""
    _identifier(None)


def rank_languages(text: str, among: tuple[str, ...] | None = None) -> list[tuple[str, float]]:
    """ISO 639-1 codes with their probabilities, likeliest first; `among` limits the choice, and so makes it surer."""
    return [(str(code), float(share)) for code, share in _identifier(among).rank(text)]


@cache
def _identifier(among: tuple[str, ...] | None) -> Any:
    """The identifier for some languages shares the tables of the one for all."""
    if among is not None:
        limited = copy(_identifier(None))
        limited.set_languages(among)
        return limited
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # not every process reads prose

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
