"""Words that a statement turns on: put in each other's place they change what it says, whatever surrounds them.

A family is a set of senses; words of one sense may stand for one another, those of two senses of a family may not.
"""

from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FAMILIES: Mapping[str, str] = {
    # how many, how often, how much at most
    "quantity": (
        "all every each whole entire alle aller allen alles jede jeder jedes jeden jedem "
        "sämtliche tous toutes todos todas все каждый"
        "|some several certain einige manche mehrere quelques algunos algunas некоторые"
        "|any beliebige|both beide beiden"
        "|no none neither keine keiner keinen keinem kein aucun ninguno"
        "|most meisten höchstens maximal|least mindestens wenigstens|up bis"
        "|few wenige weniger|many viele|only nur lediglich ausschließlich seulement solo только|also too auch aussi también также"
        "|always immer stets toujours siempre всегда|never nie niemals jamais nunca никогда"
        "|sometimes manchmal gelegentlich parfois|usually normally typically generally meist meistens gewöhnlich normalerweise"
        "|often frequently oft häufig souvent|rarely seldom selten"
        "|hourly stündlich|daily täglich|weekly wöchentlich|monthly monatlich|quarterly vierteljährlich"
        "|yearly annually annual jährlich|about around approximately roughly etwa ungefähr circa|exactly precisely genau"
    ),
    # whether one may, has to, or had better
    "duty": (
        "can could may might able kann können könnten könnte darf dürfen peut peuvent puede pueden может можно"
        "|must shall need needs required have has muss müssen soll doit doivent debe deben должен нужно"
        "|should ought recommended sollte sollten devrait debería следует"
    ),
    "count": (
        "half halb halbe|once einmal|twice double zweimal doppelt doppelte|thrice triple "
        "dreimal|first erste ersten|second zweite zweiten"
        "|third dritte dritten|quarter viertel|hundred hundert|thousand tausend|million|dozen dutzend|one"
    ),
    "day": (
        "monday mondays montag montags|tuesday tuesdays dienstag dienstags|wednesday wednesdays mittwoch mittwochs"
        "|thursday thursdays donnerstag donnerstags|friday fridays freitag freitags|saturday saturdays samstag samstags"
        "|sunday sundays sonntag sonntags|weekday weekdays werktag werktags werktagen|weekend weekends wochenende wochenenden"
        "|today heute|tomorrow morgen|yesterday gestern|morning|afternoon nachmittag|evening abend|night nacht nachts|noon mittag"
        "|midnight mitternacht"
    ),
    "month": (
        "january januar|february februar|march märz|april|june juni|july juli|august|september|october oktober|november"
        "|december dezember"
    ),
    "place": "inside innerhalb|outside außerhalb|left links|right rechts|top oben|bottom unten|between zwischen|beyond",
    "time": (
        "before vor vorher until bis|after nach nachher danach since seit|during while während"
    ),
    "state": "yes ja|no nein|on an|off aus|with mit including einschließlich|without ohne excluding",
}  # fmt: skip


def _senses() -> dict[str, tuple[tuple[str, int], ...]]:
    found: dict[str, tuple[tuple[str, int], ...]] = {}
    for family, senses in _FAMILIES.items():
        for place, words in enumerate(senses.split("|")):
            for word in words.split():
                found[word] = (*found.get(word, ()), (family, place))
    return found


SENSE_OF: Mapping[str, tuple[tuple[str, int], ...]] = _senses()
"""Word to its families, in each with the number of its sense."""

CONDITIONAL = _words(
    "if unless until once when whenever while except provided wenn falls sofern solange sobald außer ausgenommen bevor si sauf "
    "lorsque cuando salvo excepto если когда кроме"
)
"""Words that open a condition or an exception."""
EXCEPTIONS = _words("unless except außer ausgenommen sauf salvo excepto кроме provided sofern solange")
RESTRICTIONS = frozenset(
    tuple(words.split())
    for words in ("as long as", "only if", "only when", "only once", "only after", "only while", "es sei denn", "nur wenn",
                  "nur falls", "nur nach", "erst wenn", "erst nach", "erst nachdem", "seulement si", "à condition", "solo si",
                  "только если")
)  # fmt: skip
"""The same in several words."""
SUBJECTS = _words(
    "the a an you your we our it its they their this that these those all every each any there i he she der die das ein "
    "eine ihr ihre unser unsere sie wir es man diese dieser dieses alle jede jeder jedes le la les un une vous nous il elle el "
    "los las su usted"
)
"""Words that a statement begins with, and an instruction does not."""
FINITE = _words(
    "is are was were will can may must should has have does do gets cannot ist sind wird werden kann können muss müssen hat "
    "haben darf dürfen est sont peut es son puede"
)
