"""How bad it is and who has to deal with it, before and after the answer."""

from dataclasses import replace

import pytest

from tools.classification import Classification, classify, reassess
from tools.classification.severity import SEVERITIES, tier_of
from tools.intents import find_intent, load_packs

HOSTING = [load_packs()["hosting"]]


def classified(text: str) -> Classification:
    return classify(text, packs=HOSTING)


class TestSeverity:
    @pytest.mark.parametrize(
        ("text", "severity"),
        [
            ("Ransomware encrypted all files on the server", "CRITICAL"),
            ("All our customers' data has been leaked", "CRITICAL"),
            ("The whole platform is down for all students", "CRITICAL"),
            ("Nobody in our company can log in", "CRITICAL"),
            ("A stranger is in my account", "CRITICAL"),
            ("Our mailbox was hacked and they changed the address", "CRITICAL"),
            ("Jemand ist in unserem Kundenkonto", "CRITICAL"),
            ("Can anybody help me to get into my account?", "LOW"),
            ("How do I let somebody else into my account?", "LOW"),
            ("The shop is offline and we lose customers", "CRITICAL"),
            ("The server is unreachable, this is outrageous", "CRITICAL"),
            ("This is outrageous, the logo is in the wrong colour", "LOW"),
            ("Tous nos serveurs sont en panne, nous perdons de l'argent", "CRITICAL"),
            ("Le robaron los datos a nuestros clientes", "CRITICAL"),
            ("Il nostro sito è offline e perdiamo clienti", "CRITICAL"),
            ("Os dados dos nossos clientes foram roubados", "CRITICAL"),
            ("Украли данные наших клиентов", "CRITICAL"),
            ("كل مواقعنا متوقفة", "CRITICAL"),
            ("Sie haben mir zweimal denselben Betrag abgebucht", "HIGH"),
            ("Me han cobrado dos veces", "HIGH"),
            ("Wann sind Sie erreichbar?", "LOW"),
            ("Der Server ist nicht mehr erreichbar", "HIGH"),
            ("Come rubrico i miei dati?", "LOW"),
            ("My website is down", "HIGH"),
            ("My site got hacked", "HIGH"),
            ("My site is down. How can I prevent this next time?", "HIGH"),
            ("My website is down, how long will it take?", "HIGH"),
            ("I was charged twice", "HIGH"),
            ("All users get an error when sending mail", "HIGH"),
            ("The exam starts in 10 minutes and my VM doesn't start", "HIGH"),
            ("I can't log in", "MEDIUM"),
            ("mail bounces with error 550", "MEDIUM"),
            ("my flag was rejected", "MEDIUM"),
            ("How do I create a mailbox?", "LOW"),
            ("There is a typo on the pricing page", "LOW"),
            ("what happens if my site goes down?", "LOW"),
            ("How can I protect my site against hackers?", "LOW"),
            ("no rush, but the logo is wrong", "LOW"),
            ("it works again now", "LOW"),
        ],
    )
    def test_the_cues_tell(self, text: str, severity: str) -> None:
        assert classified(text).severity == severity


class TestTier:
    @pytest.mark.parametrize(
        ("intent", "tiers"),
        [
            (None, [0, 1, 2, 3]),
            ("email", [0, 1, 2, 3]),
            ("dns", [0, 2, 2, 3]),
            ("billing", [1, 1, 2, 4]),
            ("malware", [1, 2, 2, 4]),
        ],
    )
    def test_the_table(self, intent: str | None, tiers: list[int]) -> None:
        assert [tier_of(severity, find_intent(intent, HOSTING)) for severity in SEVERITIES] == tiers


class TestReassess:
    def test_an_answered_question_keeps_its_place(self) -> None:
        found = classified("How do I create a mailbox?")
        assert reassess(found, "Open Mailboxes and choose Create.", answered=True) == found

    @pytest.mark.parametrize(("severity", "tier"), [("LOW", 1), ("MEDIUM", 2), ("HIGH", 3), ("CRITICAL", 4)])
    def test_an_unanswered_one_goes_up(self, severity: str, tier: int) -> None:
        found = replace(classified("hm"), severity=severity, tier=0)  # type: ignore[arg-type]
        assert reassess(found, "I don't know.", answered=False).tier == tier

    def test_an_answer_that_needs_staff_is_at_least_tier_two(self) -> None:
        found = classified("How do I reset my second factor?")
        after = reassess(found, "A second factor can only be reset by support staff.", answered=True)
        assert (after.tier, after.severity) == (2, found.severity)

    def test_an_answer_about_an_incident_is_high_and_tier_three(self) -> None:
        after = reassess(classified("what is this?"), "This is a security incident; report it at once.", answered=True)
        assert (after.severity, after.tier) == ("HIGH", 3)

    def test_nothing_ever_falls(self) -> None:
        found = classified("All our customers' data has been leaked, my site was hacked")
        after = reassess(found, "All is well, no rush.", answered=True)
        assert (after.severity, after.tier) == (found.severity, found.tier) == ("CRITICAL", 4)
