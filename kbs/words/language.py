"""The model that tells in which language a text is. A process loads it once, when first asked."""

from copy import copy
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from kbs.words.language_tables import Mapped, mapped_languages


def load_languages(folder: Path) -> None:
    """Read the model now, where the wait hurts nobody, from tables that are kept in this folder.

    Raises OSError where they can't be: the model is then read into memory when somebody first asks.
    """
    _model.load(folder)


@lru_cache(maxsize=64)  # guard, classification, spelling and assessment ask about the same message
def rank_languages(text: str, among: tuple[str, ...] | None = None) -> tuple[tuple[str, float], ...]:
    """ISO 639-1 codes with their probabilities, likeliest first; `among` limits the choice, and so makes it surer."""
    return tuple((str(code), float(share)) for code, share in _model.identifier(among).rank(text))


class _Model:
    """The identifier for all languages, and those for some of them, which share its tables."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._mapped: Mapped | None = None
        self._identifiers: dict[tuple[str, ...] | None, Any] = {}

    def load(self, folder: Path) -> None:
        with self._lock:  # who asks meanwhile waits, instead of reading all of it into memory
            self._mapped = mapped_languages(folder)
            self._identifiers = {None: self._mapped.identifier}

    def identifier(self, among: tuple[str, ...] | None) -> Any:
        return self._identifiers.get(among) or self._read(among)

    def _read(self, among: tuple[str, ...] | None) -> Any:
        with self._lock:  # of two who ask at once the second waits
            if None not in self._identifiers:
                self._identifiers[None] = _in_memory()
            if among not in self._identifiers:
                limited = copy(self._identifiers[None])
                limited.set_languages(among)
                self._identifiers[among] = limited
                if self._mapped:
                    self._mapped.forget_scores()  # all of them were walked through for a few columns
            return self._identifiers[among]


_model = _Model()


def _in_memory() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # not every process reads prose

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
