"""Words by language: which carry content, which negate, strengthen or oppose, and what each is compared by.

English, German, French, Spanish and Russian are known; a word of another language stands for itself.
"""

import re
from collections import Counter
from functools import lru_cache

from kbs.words.stemming import WORDS_KEPT, stemmed

STEM = 7
"""Letters of a stem that are compared: `authenticate` and `authentication`, but not `internal` and `internet`."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS = {
    "en": _words(
        "a an the this that these those it its is are was were be been being am do does did done have has had "
        "having i you he she we they me him her us them my your his our their mine yours and or but if then "
        "than so as of at by for from in into on onto to up with within about over under between through "
        "during again there here when while where which who whom whose what how why can could will would "
        "shall should may might must not no nor too also very just any some such each both other same own "
        "once because until per via etc re ve ll"
    ),
    "de": _words(
        "der die das den dem des ein eine einen einem einer eines und oder aber wenn dann als so wie von vom "
        "zu zum zur bei beim mit nach aus in im ins an am auf für um über unter zwischen durch ohne ist sind "
        "war waren sein wird werden wurde wurden hat haben hatte kann können könnte soll sollte muss müssen "
        "darf dürfen will wollen ich du er sie es wir ihr mich mir dich dir ihn ihm uns euch ihnen mein meine "
        "meinen meinem dein deine ihre ihren ihrem ihrer unser unsere nicht kein keine keinen auch noch nur "
        "schon sehr dass ob da dort hier was wer wo wann warum welche welcher welches dieser diese dieses "
        "diesem diesen jeder jede jedes man sich bis pro je"
    ),
    "fr": _words(
        "le la les l un une des du de d et ou mais si alors que qu qui quoi dont où ce cet cette ces c est "
        "sont était être été a ai as ont avez avons avoir fait faire peut peuvent pouvez puis je tu il elle "
        "on nous vous ils elles me m te t se suis êtes sommes s lui leur y en mon ma mes ton ta tes son sa "
        "ses notre nos votre vos leurs ne n pas plus à au aux par pour dans sur sous avec sans entre vers "
        "chez comme comment quand pourquoi quel quelle quels quelles très aussi même tout tous toute toutes "
        "autre autres"
    ),
    "es": _words(
        "el la los las lo un una unos unas de del y e o u pero si entonces que qué quien cual cuál cuando "
        "cuándo donde dónde como cómo porque es son era ser sido está están estar fue ha han he hay haber "
        "tener tiene puede pueden puedo debe deben yo tú usted él ella nosotros ustedes ellos ellas me te se "
        "le les nos mi mis tu tus su sus nuestro nuestra no ni al a ante con sin por para en entre sobre "
        "desde hasta muy más también ya este esta estos estas ese esa esos esas eso esto otro otra todo todos "
        "toda todas"
    ),
    "ru": _words(
        "и в во не что он на я с со как а то все она так его но да ты к у же вы за бы по только ее мне было "
        "вот от меня еще нет о из ему когда даже ну ли если уже или ни быть был него до вас нибудь вам сказал "
        "там потом себя ничего ей может они тут где есть для мы тебя их чем была сам чтоб без будто чего под "
        "будет кто этот того эту это эти этом при об мой моя моё мои свой ваш ваша ваше ваши наш который "
        "которая которые можно нужно"
    ),
}
# Words that say something only in company: they neither make a claim nor support one.
GENERIC_WORDS = {
    "en": _words(
        "click clicks select choose pick press tap use using used go make makes get gets set see follow "
        "following try need needs want wants ensure way step steps please note simply first next finally "
        "lastly now able let lets allow allows then example likely however therefore additionally instead "
        "order enter provide yes sure generally typically usually specifically basically important essential "
        "various write visit run type unfortunately luckily"
    ),
    "de": _words(
        "klicken klicke wählen wähle drücken gehen nutzen benutzen verwenden folgen versuchen brauchen bitte "
        "zuerst danach anschließend nun jetzt schritt schritte beispiel einfach jedoch ja außerdem zusätzlich "
        "leider"
    ),
    "fr": _words(
        "cliquez cliquer sélectionnez choisissez allez utilisez suivez veuillez ensuite puis étape étapes "
        "malheureusement"
    ),
    "es": _words("haga clic seleccione elija pulse vaya use siga favor luego después paso pasos lamentablemente"),
    "ru": _words("нажмите выберите откройте перейдите используйте пожалуйста затем далее шаг шаги"),
}
# What greetings, thanks, apologies and offers are made of; with nothing else in it a sentence claims nothing.
CHAT_WORDS = {
    "en": _words(
        "hello hi hey dear good morning afternoon evening day welcome thank thanks thankful sorry apologies "
        "apologize apologise apology regret understand frustrating frustration inconvenience happy glad "
        "pleasure help assist assistance support question questions ask know like reach contact human person "
        "someone colleague agent team member hand getting touch bring connect transfer information info "
        "details answer answers further anything something else more unfortunately sure certainly course yes "
        "ok okay great nice bye goodbye feel hear look looked looking check checking hope issue problem "
        "trouble situation concern request wonderful think trying tell share back clarify mean moment found "
        "another language quote stands"
    ),
    "de": _words(
        "hallo guten tag morgen abend moin danke dank vielen gern gerne geschehen entschuldigung leid tut "
        "leider verstehe verstehen ärgerlich unannehmlichkeiten helfen hilfe weiterhelfen unterstützen frage "
        "fragen kollege kollegen kollegin mensch person mitarbeiter team verbinden weiterleiten holen wobei "
        "womit sonst etwas weitere informationen antwort natürlich sicher ja nein auf wiedersehen schönen tun "
        "wissen sagen melden problem anliegen genau meinen gemeint habe gefunden anderen sprache zitiere "
        "dasteht"
    ),
    "fr": _words(
        "bonjour bonsoir salut merci beaucoup plaisir désolé désolée regrette comprends aider aide question "
        "questions collègue personne agent équipe humain appelle appeler mettre relation autre chose besoin "
        "volontiers oui non bien sûr revoir bonne journée voulez souhaitez heureux problème ceci trouvé "
        "langue cite tel"
    ),
    "es": _words(
        "hola mucho muchas buenos buenas días tardes noches gracias nada gusto siento lamento entiendo ayudar "
        "ayudarle ayuda pregunta preguntas compañero persona agente equipo humano llame pasar algo quiere "
        "desea claro sí luego buen día tenga problema encantado encontrado idioma cito tal cual"
    ),
    "ru": _words(
        "здравствуйте привет добрый день вечер утро спасибо пожалуйста извините сожалению жаль понимаю помочь "
        "помощь вопрос вопросы коллега коллегу человек оператор команда позвать соединить чем-то чтото рад "
        "рада хорошего дня свидания конечно проблема хотите могу нашёл другом языке привожу дословно"
    ),
}
NEGATIONS = _words(
    "not no never without cannot nor neither none nobody nothing unable nowhere nicht kein keine keinen "
    "keinem keiner keines nie niemals ohne weder nichts niemand ne n pas jamais sans aucun aucune ni "
    "impossible nunca jamás sin ningún ninguna ninguno tampoco nada не нет ни нельзя никогда без невозможно "
    "никто ничего"
)
CONJUNCTIONS = _words(
    "and but if when while because unless until although so whereas which including plus und aber wenn weil "
    "während obwohl falls sobald et mais si quand car lorsque y pero cuando porque и но если когда"
)
STRONG_WORDS = _words(
    "free always guaranteed guarantee guarantees instantly immediately automatically permanently unlimited "
    "mandatory exclusively only unless except kostenlos gratis immer garantiert sofort automatisch dauerhaft "
    "unbegrenzt nur außer gratuit gratuitement toujours garanti immédiatement automatiquement illimité "
    "seulement sauf siempre garantizado inmediatamente automáticamente ilimitado solo excepto бесплатно "
    "всегда гарантированно сразу автоматически только кроме"
)
OPPOSITES = (
    "enable disable|enabled disabled|allow forbid|allowed forbidden|allow block|allowed prohibited|permit "
    "deny|include exclude|included excluded|increase decrease|increase reduce|before after|open close|opened "
    "closed|add remove|add delete|accept reject|accept decline|incoming outgoing|upload download|public "
    "private|more less|more fewer|minimum maximum|possible impossible|required optional|free paid|manual "
    "automatic|manually automatically|first last|start stop|lock unlock|locked unlocked|valid invalid|secure "
    "insecure|keep delete|kept deleted|kept removed|inside outside|"
    "above below|higher lower|longer shorter|earlier later|sender recipient|success "
    "failure|encrypted unencrypted|old new|alte neue|kostenlos kostenpflichtig|früher später|größer kleiner|"
    "aktivieren deaktivieren|aktiviert deaktiviert|erlaubt verboten|vor "
    "nach|öffnen schließen|hinzufügen entfernen|eingehend ausgehend|mehr weniger|möglich unmöglich|activer "
    "désactiver|avant après|ouvrir fermer|ajouter supprimer|plus moins|activar desactivar|antes después|abrir "
    "cerrar|añadir eliminar|más menos|включить отключить|до после|открыть закрыть|добавить удалить|больше "
    "меньше"
)
_SAME = {"mail": "email", "mails": "email", "emails": "email", "login": "sign", "log": "sign", "website": "site"}
_NUMBER_WORDS = {
    "en": "two three four five six seven eight nine ten eleven twelve",
    "de": "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
    "fr": "deux trois quatre cinq six sept huit neuf dix onze douze",
    "es": "dos tres cuatro cinco seis siete ocho nueve diez once doce",
    "ru": "два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать",
}
_TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "de": "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
    "fr": "vingt trente quarante cinquante soixante",
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    "ru": "двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто",
}
_UNITS = {
    "percent": "% percent prozent pourcent pourciento процент процента процентов",
    "eur": "€ eur euro euros евро",
    "usd": "$ usd dollar dollars доллар доллара долларов",
    "gbp": "£ gbp pound pounds",
    "kb": "kb kib",
    "mb": "mb mib мб",
    "gb": "gb gib гб",
    "tb": "tb tib тб",
    "second": "s sec second seconds sekunde sekunden seconde secondes segundo segundos секунда секунды секунд",
    "minute": "min minute minutes minuten minuto minutos минута минуту минуты минут",
    "hour": "h hour hours stunde stunden heure heures hora horas час часа часов",
    "day": "day days tag tage tagen jour jours día días день дня дней",
    "week": "week weeks woche wochen semaine semaines semana semanas неделя недели недель",
    "month": "month months monat monate monaten mois mes meses месяц месяца месяцев",
    "year": "year years jahr jahre jahren an ans année años año год года лет",
}
UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words.split()}
VALUE_OF = {
    language: {word: str(value) for value, word in enumerate(words.split(), 2)}
    | {word: str(value) for value, word in zip(range(20, 100, 10), _TENS.get(language, "").split(), strict=False)}
    for language, words in _NUMBER_WORDS.items()
}
_WORD = re.compile(r"[^\W\d_]+")
_CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
_OWN_WORDS = {
    word: language
    for language, known in STOP_WORDS.items()
    for word in known - frozenset[str]().union(*(other for name, other in STOP_WORDS.items() if name != language))
}
"""Function words that only one of the languages has, and which."""


@lru_cache(maxsize=WORDS_KEPT)
def stem(word: str, language: str) -> str:
    """What a lower-case word is compared by."""
    return stemmed(_SAME.get(word, word), language)[:STEM]


def is_content(word: str, language: str) -> bool:
    return word not in STOP_WORDS.get(language, ()) and word not in GENERIC_WORDS.get(language, ())


def content_stems(text: str, language: str) -> list[str]:
    """Stems of the words that carry meaning, in order and with repetitions; numbers are words too."""
    words = re.findall(r"[^\W_]+", text.lower())
    return [stem(word, language) for word in words if is_content(word, language) and (len(word) > 1 or word.isdigit())]


def guess_language(text: str) -> str | None:
    """The language whose function words prevail clearly; None where there are too few to tell."""
    words = [word for word in _WORD.findall(text.lower()) if len(word) > 1]
    if _CYRILLIC.search(text) and sum(bool(_CYRILLIC.match(word)) for word in words) * 2 > len(words):
        return "ru"
    own = Counter(_OWN_WORDS[word] for word in words if word in _OWN_WORDS).most_common(2)
    if not own:
        return None
    first, most = own[0]
    next_most = own[1][1] if len(own) > 1 else 0
    clear = most >= 2 and most > 1.5 * next_most
    alone = most == 1 and not next_most and sum(word in STOP_WORDS[first] for word in words) >= 3
    return first if clear or alone else None


@lru_cache(maxsize=8)
def opposites(language: str) -> dict[str, frozenset[str]]:
    """Stem to the stems that mean its opposite."""
    found: dict[str, set[str]] = {}
    for pair in OPPOSITES.split("|"):
        one, other = (stem(word, language) for word in pair.split())
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return {word: frozenset(others) for word, others in found.items()}
