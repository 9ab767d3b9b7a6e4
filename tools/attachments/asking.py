"""Whether a question is about a file that was sent, and what is left of it without the words that say so. Pure."""

import re
from collections.abc import Iterable

_FILE = (
    r"attach(?:ed|ment|ments|ing)?|files?|documents?|docs?|logs?|log ?files?|logfiles?|pdfs?|screenshots?|pictures?|"
    r"images?|spreadsheets?|csv|docx|uploads?|uploaded|enclosed|"
    r"anhang|anhänge|angehängten?|angehängte[rs]?|datei(?:en)?|dokumente?|protokoll|beigefügten?|anlage|"
    r"pièces?|jointe?s?|fichiers?|journal|capture|ci-joint|"
    r"adjunt[oa]s?|archivos?|documentos?|ficheros?|registro|"
    r"влож\w+|файл\w*|документ\w*|лог\w{0,3}|прикреп\w+"
)
_ABOUT_FILE = re.compile(
    rf"\b(?:attached|attachments?|uploaded|enclosed|anhang|angehängt\w*|beigefügt\w*|ci-joint\w*|jointe?s?|adjunt[oa]s?|"
    rf"влож\w+|прикреп\w+)\b|\b(?:this|my|these|diese[rsmn]?|meine[rsmn]?|ce|cette|mon|ma|este|esta|mi|этот|этом|мой|моем)"
    rf"\s+(?:\w+\s+)?(?:{_FILE})\b"
    rf"|\b(?:{_FILE})\s+(?:\w+\s+)?(?:says?|said|mentions?|contains?|shows?|tells?|sagt|steht|dit|contient|dice|contiene)\b"
    rf"|\b(?:says?|said|mention\w*|contains?|shows?|in|of|from|im|in der|dans|en|в)\s+(?:the|my|this|that|le|la|el|der|den)?"
    rf"\s*(?:log|pdf|document|file|csv|docx|screenshot|spreadsheet|datei|dokument|fichier|archivo|файле|документе)\b",
    re.IGNORECASE,
)
_REFERENCE = re.compile(
    rf"\b(?:{_FILE}|says?|said|mention\w*|contains?|shows?|tells?|summari[sz]e|summary|read|content|contents|send|sent|"
    r"sagt|steht|zusammenfass\w*|inhalt|dit|contient|résum\w*|dice|contiene|resum\w*|сказано|говорит\w*|содерж\w*)\b",
    re.IGNORECASE,
)


def is_about_file(question: str, names: Iterable[str] = ()) -> bool:
    """Whether the question points at something that was sent, by kind or by name."""
    folded = question.casefold()
    return bool(_ABOUT_FILE.search(question)) or any(
        name.casefold() in folded or _stem(name).casefold() in folded for name in names if len(_stem(name)) > 3
    )


def without_reference(question: str, names: Iterable[str] = ()) -> str:
    """The question's own matter: `what does the attached log say about port 8443` asks about `port 8443`."""
    text = question
    for name in names:
        for spelling in (name, _stem(name)):
            if len(spelling) > 3:
                text = re.sub(re.escape(spelling), " ", text, flags=re.IGNORECASE)
    return " ".join(_REFERENCE.sub(" ", text).split())


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0]
