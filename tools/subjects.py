"""Whether a ticket's subject says what it is about: `Help!!`, `Ticket #4839` and `Re: urgent` stand before every matter, and
two tickets are not alike for having them, or unlike for not."""

import re

_SAYS_NOTHING = """
re fw fwd aw wg tr rv sv a an the of for to on in at is it my our your you i me we us this that new no not none any
please pls help helpdesk assist assistance support ticket tickets case request requests inquiry enquiry question
questions query problem problems issue issues trouble urgent urgently important asap emergency attention priority
need needs needed want hi hello hey dear sir madam team there good morning day evening thanks thank again still
subject message contact form feedback reply answer quick short another second follow up update untitled empty test
hilfe bitte frage fragen problem probleme anfrage anliegen dringend wichtig eilt hallo guten tag morgen moin betreff
kein keine ohne mein meine ein eine ich brauche benötige noch wieder einmal nachricht kontakt kontaktformular danke
aide aidez moi svp merci demande urgence bonjour bonsoir besoin sans objet sujet un une mon ma le la les de problème
ayuda ayúdenme por favor pregunta consulta urgente importante hola buenos días necesito sin asunto gracias mi el una
помощь помогите пожалуйста вопрос проблема срочно важно здравствуйте добрый день привет нужна нужно без темы мой
"""
_EMPTY = frozenset(_SAYS_NOTHING.split())
_WORD = re.compile(r"[^\W_]+")


def says_something(subject: str) -> bool:
    """Whether a word is left besides courtesies, urgency and numbers."""
    words = _WORD.findall(subject.casefold())
    return any(word not in _EMPTY and not word.isdigit() for word in words)
