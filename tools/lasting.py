"""Which sentences of a customer tell something that will still hold next month: a name, a plan, a system, a version.

What is kept goes to a model in every later session and never expires. So a state is not kept, however much it is the
customer's own (`my site is down since yesterday`), and where a sentence tells both, the part that lasts is.
"""

import re

_VALUE = (
    r"(?:(?:called|named|built|based|made|hosted|running|powered|written|registered|on|with|using|under)\b|"
    r"(?:an? |the |in |at )?(?:https?://|[\w.+-]+@|[\w-]+\.\w{2,}|"
    r"\+?\d|(?-i:[a-z]?[^\W\d_a-zäöüß]))|an? (?:[\w-]+ ){0,2}"
    r"(?:shop|store|webshop|blog|forum|wiki|portal|vps|agency|school|club|company|business|charity|start-?up)\b)"
)
"""What a site, a team or an address can be for good; a bare adjective is none of it."""
_TOLD = re.compile(
    r"\b(?:my|our) (?:(?:user ?|first |last |company |domain )?name|customer number|plan|operating system|role|course) "
    r"(?:is|are|'s) (?!being|going|getting|about|too|so|very|not|due|under|ab(?:le|out))|"
    r"\b(?:my|our) (?:domain|website|web ?shop|shop|site|company|e-?mail(?: address)?|phone(?: number)?|team|device|"
    r"server) "
    rf"(?:(?:is|are|'s) {_VALUE}|runs (?!out|into|in|at|full|short|hot|away)\w)|"
    r"\b(?:i am|i'm|we are|we're) (?:using|called|on (?!hold|it|the|my|our|a|holiday|vacation|leave|call|and)\w)|"
    r"\b(?:i|we) (?:use|prefer|work (?:at|for|with|on))\b|\bi am called\b|"
    r"(?:^|\bplease,? |\bkindly )remember (?!me\b)|"
    r"\bcall me (?!back|when|if|at|on|as soon|asap|now|again|about|to\b|in\b|for\b|by\b|later|today|tomorrow|tonight|"
    r"please|once|anytime|any\b|before|after|or\b|and\b|immediately|urgently|right|straight)\w|"
    r"\bmein name ist\b|\bich (?:heiße|benutze|nutze|verwende)\b|\bwir (?:benutzen|nutzen|verwenden)\b|"
    r"\b(?:meine?|unsere?) (?:domain|tarif|paket|kundennummer|benutzername|e-?mail(?:-?adresse)?|firma|telefonnummer|"
    rf"betriebssystem|(?:web)?seite|website|(?:web)?shop|server) (?:lautet|heißt|läuft (?:mit|auf|unter)|ist {_VALUE}|"
    r"ist (?:mit|auf|bei|von|unter)\b)|"
    r"\bje m'appelle\b|\bj'utilise\b|\bnous utilisons\b|\bme llamo\b|\b(?:uso|usamos)\b|\bменя зовут\b|"
    r"\b(?:я использую|мы используем)\b",
    re.IGNORECASE,
)
_BE = (
    r"\b(?:is|are|was|were|been|gets?|got|keeps?|seems?|looks?|feels?|runs?|goes|went|becomes?|it's|that's|"
    r"ist|sind|war|wurde|wird|läuft|est|sont|está|están|es|va|anda)\s+(?:[\w']+\s+){0,2}"
)
_PASSING = re.compile(
    r"\b(?:down|offline|broken|hacked|infected|defaced|compromised|unreachable|unavailable|inaccessible|crash\w*|"
    r"fail(?:s|ed|ing|ure\w*)|errors?|problems?|issues?|troubles?|outages?|timeouts?|bounc\w+|stopped|disappeared|"
    r"reboots|restarts|all the time|constantly|keeps \w+ing|"
    r"expir\w+|maintenance|kaputt|gehackt|ausgefallen|abgestürzt|defekt|störung\w*|fehler\w*|probleme?n?|abgelaufen|"
    r"erreichbar|funktionier\w*|en panne|hors (?:ligne|service)|piraté\w*|erreurs?|problèmes?|caíd[oa]s?|hackead[oa]s?|"
    r"errores|problemas?|fuera de (?:línea|servicio)|не\s?доступ\w*|не работа\w*|упал\w*|взлом\w*|ошибк\w*|проблем\w*|"
    r"сломал\w*)\b|"
    rf"{_BE}(?:slow\w*|dead|stuck|gone|lost|missing|wrong|blank|empty|full(?! \w)|blocked|locked|suspended|frozen|"
    r"unhappy|waiting|overloaded|under (?:attack|construction)|being|weg|langsam\w*|lahm|voll|leer|gesperrt|blockiert|"
    r"überlastet|lente?s?|bloqué\w*|lent[oa]s?|bloquead[oa]s?|rot[oa]s?)\b|"
    r"(?:\bnot|n't|n’t|\bnever|\bcannot|\bno longer|\bstopped)\s+(?:\w+\s+)?(?:work|load|open|send|receiv|start|"
    r"respond|reach|resolv|connect|show|appear|log|sign|access|able|possible|available|display|updat|sync|deliver|get|there)|"
    r"\b(?:geht|gehen|lädt|laden|startet|öffnet|sendet|kommt|kommen|kann|können) (?:\w+ ){0,3}nicht\b|"
    r"\bne \w+ (?:pas|plus)\b|\bno (?:funciona|carga|abre|responde|llega|puedo|envía|arranca)\w*|"
    r"\b(?:yesterday|today|tonight|tomorrow|right now|at the moment|currently|just now|temporarily|these days|"
    r"this (?:morning|week|afternoon|evening|month)|(?:minutes?|hours?|days?|weeks?) ago|gestern|heute|morgen|gerade|"
    r"momentan|i[mn] moment|derzeit|zurzeit|vorhin|hier(?= soir|[.!,;]|$)|depuis (?:hier|ce|une?|des|\d)|aujourd'hui|"
    r"ayer|hoy|ahora mismo|desde (?:ayer|hoy|hace)|со? вчера\w*|вчера|сегодня|сейчас)\b|"
    r"\b(?:since|seit) (?:\w+ )?(?:\d{1,2}\b(?!\d)|this|last|the|an?|hours?|days?|minutes?|noon|midnight|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|stunden|tagen|minuten|gestern|heute|einer|einem|dem|der|"
    r"(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch)\b|"
    r"\bfor (?:\w+ ){0,2}(?:minutes?|hours?|days?|weeks?|a while|ages)\b",
    re.IGNORECASE,
)
_PARTS = re.compile(
    r"\s*(?:[,;:–—]\s+|\s(?:-|and|but|so|because|which|und|aber|weil|et|mais|pero|porque|и|но|а)\s)\s*", re.IGNORECASE
)


def lasting(sentence: str) -> str | None:
    """What of a sentence lasts: all of it, its first part that does, or None."""
    if not _TOLD.search(sentence):
        return None
    if not is_passing(sentence):
        return sentence
    parts = (part.strip() for part in _PARTS.split(sentence))
    return next((part for part in parts if _TOLD.search(part) and not is_passing(part)), None)


def is_passing(sentence: str) -> bool:
    """Whether it tells of a trouble, or of how things are just now."""
    return _PASSING.search(sentence) is not None
