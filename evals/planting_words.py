"""By language: what a planted sentence is made wrong with."""

import re
from collections.abc import Mapping

Table = tuple[re.Pattern[str], Mapping[str, str]]


def _table(others: Mapping[str, str], pattern: str = r"(?<![\w-])({})(?![\w-])", *, cased: bool = False) -> Table:
    """A pattern for the words of a table, longest first, and the table."""
    found = "|".join(re.escape(word) for word in sorted(others, key=len, reverse=True))
    return re.compile(pattern.format(found), 0 if cased else re.IGNORECASE), others


def _both(*pairs: tuple[str, str]) -> dict[str, str]:
    return {one: other for pair in pairs for one, other in (pair, pair[::-1])}


NUMBERS: Mapping[str, Table] = {
    "en": _table(
        {"two": "five", "three": "four", "four": "six", "five": "two", "six": "nine", "ten": "twenty", "twelve": "ten",
         "twenty": "thirty", "thirty": "sixty", "hundred": "thousand", "once": "twice", "twice": "once", "half": "double",
         "second": "third"},
        r"(?<![\w-])({})(?![\w-]|-)",
    ),
    "de": _table(
        {"zwei": "fünf", "drei": "vier", "vier": "sechs", "fünf": "zwei", "sechs": "neun", "zehn": "zwanzig",
         "zwölf": "zehn", "zwanzig": "dreißig", "hundert": "tausend", "einmal": "zweimal", "zweimal": "einmal",
         "halbe": "ganze"}
    ),
}  # fmt: skip

_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_TAGE = "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag"
_MONTHS = "January February March April June July August September October November December"
_MONATE = "Januar Februar März April Juni Juli August September Oktober November Dezember"


def _next(*cycles: str) -> dict[str, str]:
    """Each name of a cycle to the one after the next."""
    lists = [cycle.split() for cycle in cycles]
    return {name.lower(): names[(place + 2) % len(names)] for names in lists for place, name in enumerate(names)}


DATES: Mapping[str, Table] = {
    "en": _table(_next(_DAYS, _MONTHS), r"(?<![\w-])(?-i:(?=[A-Z]))({})(?![\w-])"),
    "de": _table(_next(_TAGE, _MONATE), r"(?<![\w-])(?-i:(?=[A-Z]))({})(?![\w-])"),
}

UNITS: Mapping[str, Table] = {
    "en": _table(
        {"seconds": "minutes", "minutes": "hours", "minute": "hour", "hours": "days", "days": "weeks", "weeks": "months",
         "months": "years", "mb": "GB", "gb": "MB", "tb": "GB", "euros": "dollars", "dollars": "euros", "percent": "euros"},
        r"(?<=[\d] )({})(?![\w-])",
    ),
    "de": _table(
        {"sekunden": "Minuten", "minuten": "Stunden", "stunden": "Tage", "tage": "Wochen", "tagen": "Wochen",
         "wochen": "Monate", "monate": "Jahre", "monaten": "Jahren", "mb": "GB", "gb": "MB", "euro": "Dollar",
         "prozent": "Euro"},
        r"(?<=[\d] )({})(?![\w-])",
    ),
}  # fmt: skip

OPPOSITES: Mapping[str, Table] = {
    "en": _table(
        {**_both(("before", "after"), ("enable", "disable"), ("enabled", "disabled"), ("add", "remove"),
                 ("incoming", "outgoing"), ("minimum", "maximum"), ("more", "less"), ("first", "last"), ("old", "new"),
                 ("public", "private"), ("start", "stop"), ("possible", "impossible"), ("allowed", "forbidden"),
                 ("upload", "download"), ("higher", "lower"), ("longer", "shorter"), ("inside", "outside"),
                 ("sender", "recipient"), ("manually", "automatically"), ("required", "optional"),
                 ("included", "excluded"), ("accepts", "rejects"), ("increase", "decrease")),
         "open": "close", "without": "with", "free": "paid", "delete": "keep", "deleted": "kept"},
        r"(?<![\w-])({})(?![\w-])",
    ),
    "de": _table(
        _both(("vor", "nach"), ("aktivieren", "deaktivieren"), ("aktiviert", "deaktiviert"), ("mehr", "weniger"),
              ("eingehende", "ausgehende"), ("öffnen", "schließen"), ("möglich", "unmöglich"), ("erlaubt", "verboten"),
              ("alte", "neue"), ("alten", "neuen"), ("hinzufügen", "entfernen"), ("kostenlos", "kostenpflichtig"),
              ("ohne", "mit"), ("öffentliche", "private"), ("früher", "später"))
    ),
}  # fmt: skip

QUANTITIES: Mapping[str, Table] = {
    "en": _table(
        {"always": "never", "never": "always", "sometimes": "always", "usually": "always", "often": "never",
         "can": "must", "may": "must", "must": "can", "should": "must", "at least": "at most", "at most": "at least",
         "up to": "at least", "all": "some", "every": "no", "only": "also", "each": "no", "most": "all", "some": "all",
         "daily": "weekly", "weekly": "daily", "monthly": "yearly", "yearly": "monthly", "about": "exactly",
         "any": "no"},
        r"(?<![\w'-])(?<!\bat )({})(?![\w'-])",
    ),
    "de": _table(
        {"immer": "nie", "nie": "immer", "manchmal": "immer", "meist": "immer", "kann": "muss", "können": "müssen",
         "muss": "kann", "müssen": "können", "mindestens": "höchstens", "höchstens": "mindestens", "alle": "einige",
         "jede": "keine", "jeder": "keiner", "nur": "auch", "täglich": "wöchentlich", "wöchentlich": "täglich",
         "monatlich": "jährlich", "jährlich": "monatlich", "bis zu": "mindestens"}
    ),
}  # fmt: skip

NEGATIONS: Mapping[str, Table] = {
    "en": _table({"not": "", "never": "", "cannot": "can", "without": "with", "no longer": "still"}),
    "de": _table({"nicht": "", "nie": "", "kein": "ein", "keine": "eine", "keinen": "einen", "ohne": "mit"}),
}
VERBS = {
    "en": re.compile(r"\b(is|are|can|will|must|should|does|do|has|have)\b(?! not)(?!n't|'t)(?! to\b)"),
    "de": re.compile(r"\b(ist|sind|wird|werden|kann|können|muss|müssen|hat|haben)\b(?! nicht)"),
}
NOT = {"en": "not", "de": "nicht"}

THINGS = {
    "en": re.compile(
        r"\b(?:the|an?|your|each|every|from) (?P<one>[^\W\d_]{4,})(?P<between> (?:(?![.;:!?]).){1,60}?\b"
        r"(?:the|an?|your|to|each|every) )(?P<other>[^\W\d_]{4,})\b(?! of\b)",
    ),
    "de": re.compile(
        r"\b(?:[Dd]er|[Dd]ie|[Dd]as|[Ee]ine?|[Ii]hre?|[Vv]om) (?P<one>[A-ZÄÖÜ][^\W\d_]{3,})(?P<between> (?:(?![.;:!?]).){1,60}?\b"
        r"(?:der|die|das|den|dem|eine[mnr]?|ein|Ihre[mnr]?|zum|zur) )(?P<other>[A-ZÄÖÜ][^\W\d_]{3,})\b",
    ),
}  # fmt: skip
LISTING = {
    "en": re.compile(r"\b(?:and|or|the|an?|your|each|every|to|as well as)\b|,"),
    "de": re.compile(r"\b(?:und|oder|sowie|der|die|das|den|dem|eine?|ihre?)\b|,"),
}

_SUBJECT = (
    r"(?:the|an?|you|your|we|our|it|they|this|that|these|all|every|each|any|there|[a-z]+ (?:is|are|can|will|has|have))"
)
CONDITIONS = {
    "en": (
        re.compile(rf"(?:If|When|Unless|Once|Until) [^,]{{8,}}, (?:then )?(?P<main>(?i:{_SUBJECT}) .{{8,}})\.\s*$"),
        re.compile(r"(?P<main>\S.{12,}?),? (?:unless|except|provided that|as long as|only if|only when|only after) .{4,}\.\s*$"),
    ),
    "de": (
        re.compile(
            r"(?P<main>\S.{12,}?), (?:wenn|falls|sofern|solange|außer|es sei denn|nur wenn|sobald) .{4,}\.\s*$"
        ),
    ),
}  # fmt: skip

STRANGE_NAMES = ("Zephyrion", "QUORVEX", "Marlowe", "TindraDB", "Vexilla", "OBSYDIAN9")
PROMISES = {
    "en": ("This is always free of charge.", "We guarantee this without exception.", "It is done within two seconds."),
    "de": ("Das ist immer kostenlos.", "Das garantieren wir ohne Ausnahme.", "Das ist in zwei Sekunden erledigt."),
}
INVENTED = {
    "en": (
        "Our telephone hotline is open around the clock at extension 4711.",
        "Every customer gets a dedicated engineer named Rosalind.",
        "The data centre in Reykjavik holds a third copy for ninety years.",
        "You receive a loyalty bonus of 12.5 percent after the second renewal.",
        "Send a fax with your signature to the compliance office to finish the request.",
    ),
    "de": (
        "Unsere Hotline ist rund um die Uhr unter der Durchwahl 4711 besetzt.",
        "Jeder Kunde bekommt eine eigene Technikerin namens Rosalinde.",
        "Das Rechenzentrum in Reykjavík bewahrt eine dritte Kopie neunzig Jahre lang auf.",
        "Nach der zweiten Verlängerung erhalten Sie einen Treuebonus von 12,5 Prozent.",
        "Schicken Sie ein Fax mit Ihrer Unterschrift an das Compliance-Büro.",
    ),
}
