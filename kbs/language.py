"""The model that tells in which language a text is. A process loads it once (half a second), when first asked."""

from copy import copy
from functools import cache
from threading import Lock
from typing import Any


def load_languages() -> None:
    """Read the model now, where the wait hurts nobody."""
    _identifier(None)


def rank_languages(text: str, among: tuple[str, ...] | None = None) -> list[tuple[str, float]]:
    """ISO 639-1 codes with their probabilities, likeliest first; `among` limits the choice, and so makes it surer."""
    return [(str(code), float(share)) for code, share in _identifier(among).rank(text)]


_loading = Lock()


def _identifier(among: tuple[str, ...] | None) -> Any:
    with _loading:  # of two who ask at once the second waits
        return _read(among)


@cache
def _read(among: tuple[str, ...] | None) -> Any:
    """The identifier for some languages shares the tables of the one for all."""
    if among is not None:
        limited = copy(_read(None))
        limited.set_languages(among)
        return limited
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # not every process reads prose

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
