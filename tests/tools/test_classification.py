"""What kind of message it is, in the words that customers use."""

import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from kbs.minilm import MiniLM, open_minilm
from tools.classification import (
    SEVERITIES,
    Classification,
    Prototypes,
    build_prototypes,
    classify,
    detect_language,
    load_cues,
    make_prototypes,
    nearest_intent,
    reassess,
    says_yes,
    sentiment,
    talk_kind,
    tier_of,
    wants_human,
)
from tools.guardrails import check_message, load_rules
from tools.intents import IntentFileError, detect_intent, find_intent, load_packs

HOSTING = [load_packs()["hosting"]]


def classified(text: str) -> Classification:
    return classify(text, packs=HOSTING)


class TestWantsHuman:
    @pytest.mark.parametrize(
        "text",
        [
            "I want to talk to a person",
            "agent",
            "Human please!",
            "Can I speak to a human please?",
            "connect me to an agent",
            "transfer me to a representative",
            "Let me speak with your manager",
            "can someone call me?",
            "I don't want to talk to a bot",
            "stop with the bot, get me a person",
            "Is there a real person here I can chat with?",
            "this bot is useless, I need human support",
            "escalate this to a human",
            "could you hand me over to a colleague?",
            "I need to speak to someone about my bill",
            "Ich möchte mit einem Menschen sprechen",
            "Verbinden Sie mich bitte mit einem Mitarbeiter",
            "Je veux parler à un humain",
            "Puis-je parler avec un conseiller ?",
            "Quiero hablar con una persona",
            "Vorrei parlare con un operatore",
            "Quero falar com um atendente",
            "Ik wil met een medewerker spreken",
            "Хочу поговорить с человеком",
            "Позовите оператора",
            "转人工",
            "オペレーターにつないでください",
            "상담원 연결해 주세요",
        ],
    )
    def test_asked_for(self, text: str) -> None:
        assert wants_human(text)

    @pytest.mark.parametrize(
        "text",
        [
            "how do I talk to my server over ssh",
            "a human readable log",
            "the monitoring agent does not start",
            "ssh-agent forwarding fails",
            "connect to the agent on port 8080 fails",
            "are you a bot or a real person",
            "am i talking to a real person?",
            "How do I add a person to my account?",
            "someone hacked my account",
            "can someone help me with DNS?",
            "Do I need to talk to my registrar?",
            "I don't need a human, just tell me the IP",
            "I don't want to talk to a person, just give me the link",
            "What is the AND operator in MySQL?",
            "I was told by an agent yesterday that it was fixed",
            "I already talked to support and they reset it",
            "get the password manager to work",
            "Comment parler au serveur en SMTP ?",
        ],
    )
    def test_not_asked_for(self, text: str) -> None:
        assert not wants_human(text)


class TestKind:
    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("hello", "greeting"),
            ("Hi there!", "greeting"),
            ("good morning", "greeting"),
            ("Guten Tag", "greeting"),
            ("hi, can you help me?", "greeting"),
            ("👋", "greeting"),
            ("thanks", "thanks"),
            ("great, thanks for your help", "thanks"),
            ("that worked, thank you", "thanks"),
            ("merci beaucoup", "thanks"),
            ("👍", "thanks"),
            ("thanks, bye", "goodbye"),
            ("have a nice day", "goodbye"),
            ("auf wiedersehen", "goodbye"),
            ("hi, how are you", "smalltalk"),
            ("are you a bot?", "smalltalk"),
            ("what can you do?", "smalltalk"),
            ("tell me a joke", "smalltalk"),
        ],
    )
    def test_small_talk_is_told_apart(self, text: str, kind: str) -> None:
        assert talk_kind(text)[0] == kind

    @pytest.mark.parametrize(
        "text",
        [
            "hello, my site is down",
            "hi, how do I reset my password",
            "thanks but it still fails",
            "thank you, one more question: what is DNS",
            "hallo, meine Seite ist offline",
            "perfect storm of errors",
            "what can you do about my slow site?",
            "is it down?",
            "👍 but the mail still bounces",
            "no",
            "",
            "?",
        ],
    )
    def test_a_question_is_not_swallowed_by_its_greeting(self, text: str) -> None:
        assert talk_kind(text)[0] == "question"

    def test_asking_for_a_person_is_no_small_talk(self) -> None:
        found = classified("hello, agent please")
        assert (found.wants_human, found.kind) == (True, "question")

    def test_the_words_of_small_talk_tell_its_language(self) -> None:
        assert classified("hola").language == "es"
        assert classified("danke schön").language == "de"


class TestAssent:
    @pytest.mark.parametrize(
        "text", ["yes", "Yes please", "sure", "ok", "go ahead", "ja gerne", "oui merci", "да", "はい"]
    )
    def test_an_offer_is_taken_up(self, text: str) -> None:
        assert says_yes(text)

    @pytest.mark.parametrize(
        "text", ["no", "ok but how?", "yes it still fails", "yes, how?", "please help me with DNS"]
    )
    def test_more_than_a_yes_is_no_yes(self, text: str) -> None:
        assert not says_yes(text)


class TestSeverity:
    @pytest.mark.parametrize(
        ("text", "severity"),
        [
            ("Ransomware encrypted all files on the server", "CRITICAL"),
            ("All our customers' data has been leaked", "CRITICAL"),
            ("The whole platform is down for all students", "CRITICAL"),
            ("Nobody in our company can log in", "CRITICAL"),
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


class TestLanguage:
    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("How do I reset my mailbox password?", "en"),
            ("Wie setze ich mein Passwort zurück?", "de"),
            ("mon site ne marche pas", "fr"),
            ("¿Cómo elimino todos los archivos de mi cuenta?", "es"),
            ("il mio sito non funziona", "it"),
            ("moja strona nie działa", "pl"),
            ("сайт не работает", "ru"),
            ("我忘记了密码", "zh"),
            ("パスワードを忘れました", "ja"),
            ("비밀번호를 잊어버렸어요", "ko"),
        ],
    )
    def test_it_is_recognised(self, text: str, code: str) -> None:
        assert detect_language(text) == code

    @pytest.mark.parametrize(
        "text", ["", "ok", "503", "cPanel DNS MX", "SPF DKIM DMARC", "vm frozen", "https://exämple.com/ü"]
    )
    def test_what_can_not_be_told_is_english(self, text: str) -> None:
        assert detect_language(text) == "en"


class TestSentiment:
    def test_praise_is_positive_and_blame_negative(self) -> None:
        assert sentiment("Thank you, great help!") > 0.5
        assert sentiment("This is terrible, I hate it") < -0.5
        assert sentiment("my mailbox has a quota") == 0

    def test_a_negation_turns_praise(self) -> None:
        assert sentiment("I am happy") > 0 > sentiment("I am not happy")

    def test_it_stays_within_one(self) -> None:
        assert -1 <= sentiment("awful terrible horrible useless " * 500) <= 1


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def embedder() -> AsyncIterator[MiniLM]:
    async with open_minilm() as model:
        yield model


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def prototypes(embedder: MiniLM) -> Prototypes:
    return await build_prototypes(embedder, HOSTING)


class TestPrototypes:
    @pytest.mark.parametrize(
        ("text", "intent"),
        [
            ("My money was taken two times", "billing"),
            ("nobody receives what I write to them from my address", "email"),
            ("strange adverts appear on my pages since yesterday", "malware"),
            ("it takes forever until the shop appears", "hosting_performance"),
        ],
    )
    async def test_they_know_messages_without_a_keyword(
        self, embedder: MiniLM, prototypes: Prototypes, text: str, intent: str
    ) -> None:
        vector = await embedder.embed_query(text)
        found = classify(text, packs=HOSTING, embedding=vector, prototypes=prototypes)
        assert (found.embedded_intent, found.intent) == (intent, intent)
        assert found.certainty == 0.3
        assert found.keyword_intent is None

    async def test_far_off_messages_stay_without_intent(self, embedder: MiniLM, prototypes: Prototypes) -> None:
        text = "what is the tallest mountain on earth"
        found = classify(text, packs=HOSTING, embedding=await embedder.embed_query(text), prototypes=prototypes)
        assert found.intent is None
        assert found.embedded_intent is not None
        assert found.embedded_score < 0.35

    async def test_a_clear_lead_overrides_a_keyword_and_both_are_shown(
        self, embedder: MiniLM, prototypes: Prototypes
    ) -> None:
        text = "the visitors of my domain are sent to a spam site, I think the site was broken into"
        found = classify(text, packs=HOSTING, embedding=await embedder.embed_query(text), prototypes=prototypes)
        assert (found.keyword_intent, found.embedded_intent, found.intent) == ("domain", "malware", "malware")
        assert found.certainty == 0.3  # no keyword spoke for malware

    async def test_only_the_packs_in_force_are_asked(self, embedder: MiniLM) -> None:
        everything = await build_prototypes(embedder, load_packs())
        vector = await embedder.embed_query("my virtual machine shows a black screen")
        found = classify("hm", packs=HOSTING, embedding=vector, prototypes=everything)
        assert found.embedded_intent in {intent.name for intent in HOSTING[0].intents}


class TestNearest:
    VECTORS = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)

    def test_the_score_is_the_mean_of_the_best_example_and_the_centre(self) -> None:
        prototypes = make_prototypes(["a", "a", "b", "c"], self.VECTORS)
        found = nearest_intent(np.array([1, 0, 0], dtype=np.float32), prototypes)
        assert found is not None
        assert found.intent == "a"
        assert found.score == pytest.approx((1 + 1.8 / np.hypot(1.8, 0.6)) / 2, abs=1e-6)
        assert found.margin == pytest.approx(found.score - found.scores["b"])

    def test_nothing_allowed_is_nothing_found(self) -> None:
        prototypes = make_prototypes(["a", "a", "b", "c"], self.VECTORS)
        assert nearest_intent(self.VECTORS[0], prototypes, allowed=["z"]) is None

    def test_a_keyword_holds_against_a_small_lead(self) -> None:
        prototypes = make_prototypes(["billing", "email"], np.array([[0.8, 0.6], [0.85, 0.5268]], dtype=np.float32))
        found = classify("my invoice", packs=HOSTING, embedding=np.array([1, 0]), prototypes=prototypes)
        assert (found.intent, found.embedded_intent, found.certainty) == ("billing", "email", 0.75)


class TestCost:
    def test_guard_intent_and_classification_take_at_most_five_milliseconds(self) -> None:
        rules = load_rules()
        texts = [example for pack in load_packs().values() for intent in pack.intents for example in intent.examples]
        texts += [" ".join(texts[start : start + 12]) for start in range(0, len(texts), 12)]
        detect_language("the model is loaded before anything is timed")
        took = []
        for text in texts:
            started = time.thread_time()
            check_message(text, role="customer", audience="trainee", rules=rules)
            detect_intent(text, load_packs())
            classify(text, packs=load_packs())
            took.append(time.thread_time() - started)
        assert statistics.quantiles(took, n=20)[-1] <= 0.005

    def test_a_long_message_does_not_hold_up_the_process(self) -> None:
        started = time.thread_time()
        classified(("hello my site is down and nobody can help " * 2500)[:100_000])
        assert time.thread_time() - started < 0.3


class TestCueFile:
    def test_a_broken_cue_is_a_clear_error(self, tmp_path: Path) -> None:
        file = tmp_path / "intents.yaml"
        file.write_text("packs: {}\ncues: {languages: [en], talk: {}}")
        with pytest.raises(IntentFileError, match="cues: KeyError"):
            load_cues(file)
