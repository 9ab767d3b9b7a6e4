"""The phrase language, the packs of intents, and the certainty of a match."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.intents import (
    IntentFileError,
    Phrase,
    PhraseBook,
    Step,
    detect_intent,
    find_intent,
    fold,
    load_packs,
    parse_phrase,
    rank_intents,
    tokenize,
)

HOSTING = [load_packs()["hosting"]]
CYBER = [load_packs()["cyber-training"]]


def occurs(phrase: str, text: str, *, across: bool = False) -> bool:
    parsed = parse_phrase(phrase, {"verbs": "show|tell"})
    return bool(PhraseBook([parsed]).read(tokenize(text), across=across).ends(parsed))


class TestTokens:
    @pytest.mark.parametrize(
        ("text", "tokens"),
        [
            ("Réinitialiser MON mot de passe", ["reinitialiser", "mon", "mot", "de", "passe"]),
            ("I'm sure you don't", ["i", "m", "sure", "you", "dont"]),
            ("im sure whats up", ["i", "m", "sure", "what", "s", "up"]),
            ("I am ill, we were well", ["i", "am", "ill", "we", "were", "well"]),
            ("ＩＧＮＯＲＥ pass\u200bword", ["ignore", "password"]),
            ("раssword сменить пароль", ["password", "сменить", "пароль"]),
            ("忽略 SSL证书", ["忽", "略", "ssl", "证", "书"]),
            ("Down. Again", ["down", ".", "again"]),
            ("v1.2.3 is out", ["v1", "2", "3", "is", "out"]),
        ],
    )
    def test_disguises_and_accents_are_gone(self, text: str, tokens: list[str]) -> None:
        assert tokenize(text) == tokens

    @given(st.text(max_size=200))
    def test_any_text_can_be_read(self, text: str) -> None:
        assert fold(fold(text)) == fold(text)
        assert all(tokenize(text))


class TestPhrases:
    @pytest.mark.parametrize(
        ("phrase", "text"),
        [
            ("reset password", "how do I reset password"),
            ("reset|change password", "Change password!"),
            ("migrat*", "we are migrating"),
            ("reset ~2 password", "reset my old password"),
            ("{verbs} me", "tell me"),
            ("^ hello", "hello there"),
            ("^ ~1 hello", "oh hello there"),
            ("thanks $", "many thanks"),
            ("thanks ~2 $", "thanks a lot"),
            ("don't", "dont"),
            ("系统", "我的系统"),
        ],
    )
    def test_found(self, phrase: str, text: str) -> None:
        assert occurs(phrase, text)

    @pytest.mark.parametrize(
        ("phrase", "text"),
        [
            ("reset password", "password reset"),
            ("reset password", "reset my password"),
            ("reset ~2 password", "reset my very old password"),
            ("migrat*", "immigration"),
            ("^ hello", "oh hello"),
            ("thanks $", "thanks a lot"),
            ("thanks ~1 $", "thanks a lot"),
            ("site down", "I like the site. Down here it rains"),
        ],
    )
    def test_not_found(self, phrase: str, text: str) -> None:
        assert not occurs(phrase, text)

    def test_a_phrase_may_span_sentences_when_told_to(self) -> None:
        assert occurs("site down", "site. Down", across=True)

    @pytest.mark.parametrize("phrase", ["", "~2", "reset ~2", "~1 reset", "a|系统", "{unknown} x", "?", "a ^ b"])
    def test_what_is_no_phrase_is_refused(self, phrase: str) -> None:
        with pytest.raises((ValueError, KeyError)):
            parse_phrase(phrase)

    def test_what_a_phrase_covers_includes_the_words_in_its_gaps(self) -> None:
        phrase = parse_phrase("are you ~2 bot")
        reading = PhraseBook([phrase]).read(tokenize("hey are you a real bot or what"))
        assert [position for position in range(reading.length) if reading.covers(phrase) >> position & 1] == [
            1,
            2,
            3,
            4,
            5,
        ]

    @given(
        st.lists(st.sampled_from("abc"), max_size=12),
        st.lists(st.tuples(st.sets(st.sampled_from("abc"), min_size=1), st.integers(0, 2)), min_size=1, max_size=4),
    )
    def test_matching_by_bits_finds_what_trying_everything_finds(
        self, tokens: list[str], steps: list[tuple[set[str], int]]
    ) -> None:
        phrase = Phrase(
            source="",
            steps=tuple(
                Step(terms=frozenset(terms), gap=gap if number else 0) for number, (terms, gap) in enumerate(steps)
            ),
        )
        ends = {position for position, token in enumerate(tokens) if token in phrase.steps[0].terms}
        for step in phrase.steps[1:]:
            ends = {
                later
                for end in ends
                for later in range(end + 1, min(end + step.gap + 2, len(tokens)))
                if tokens[later] in step.terms
            }
        found = PhraseBook([phrase]).read(tokens).ends(phrase)
        assert {position for position in range(len(tokens)) if found >> position & 1} == ends


class TestPacks:
    def test_the_specifications_twelve_are_there_with_their_flags(self) -> None:
        intents = HOSTING[0].intents
        assert [intent.name for intent in intents] == [
            "billing", "email", "ssl", "malware", "dns", "migration", "domain", "hosting_performance", "database",
            "access_login", "backup", "abuse_security",
        ]  # fmt: skip
        assert {intent.name for intent in intents if intent.needs_tenant_knowledge} == {
            "billing",
            "migration",
            "domain",
        }

    def test_the_cyber_training_pack_is_there(self) -> None:
        assert [intent.name for intent in CYBER[0].intents] == ["login", "vm_access", "labs", "environment", "scoring"]

    @pytest.mark.parametrize("pack", [HOSTING[0], CYBER[0]], ids=lambda pack: pack.name)
    def test_the_examples_of_an_intent_lead_to_it(self, pack) -> None:  # type: ignore[no-untyped-def]
        wrong = [
            (intent.name, example, found.intent)
            for intent in pack.intents
            for example in intent.examples
            if (found := detect_intent(example, [pack])).intent != intent.name
        ]
        total = sum(len(intent.examples) for intent in pack.intents)
        assert len(wrong) <= 0.05 * total, wrong
        assert min(len(intent.examples) for intent in pack.intents) >= 7

    def test_an_unknown_name_is_no_intent(self) -> None:
        assert find_intent("dns", HOSTING) is not None
        assert find_intent("scoring", HOSTING) is None
        assert find_intent(None, HOSTING) is None


class TestCertainty:
    def test_one_keyword_gives_the_base(self) -> None:
        match = detect_intent("a question about my invoice", HOSTING)
        assert (match.intent, match.certainty, match.keywords) == ("billing", 0.75, ("invoice",))

    def test_each_further_distinct_keyword_adds_a_twentieth(self) -> None:
        assert detect_intent("invoice and refund", HOSTING).certainty == 0.8
        assert detect_intent("invoice, refund and paypal", HOSTING).certainty == 0.85

    def test_the_same_keyword_again_adds_nothing(self) -> None:
        assert detect_intent("invoice invoices invoice", HOSTING).certainty == 0.75

    def test_it_never_exceeds_one(self) -> None:
        text = "invoice billing payment pay refund charged credit card paypal subscription vat receipt coupon discount"
        assert detect_intent(text, HOSTING).certainty == 1.0

    def test_without_a_keyword_there_is_no_intent_and_three_tenths(self) -> None:
        match = detect_intent("the weather is nice", HOSTING)
        assert (match.intent, match.certainty, match.keywords) == (None, 0.3, ())

    def test_more_words_matched_win_over_a_higher_base(self) -> None:
        assert detect_intent("database connection for the ssl check of the database user", HOSTING).intent == "database"

    def test_other_intents_follow_in_order(self) -> None:
        names = [match.intent for match in rank_intents("restore my mailbox from the backup", HOSTING)]
        assert names[0] == "backup"
        assert "email" in names

    @pytest.mark.parametrize(
        ("text", "intent"),
        [
            ("Ich habe die Rechnung doppelt bezahlt", "billing"),
            ("J'ai oublié mon mot de passe", "access_login"),
            ("mi base de datos no responde", "database"),
            ("Мой сайт взломали", "malware"),
            ("zmiana dns", "dns"),
        ],
    )
    def test_other_languages_have_keywords_too(self, text: str, intent: str) -> None:
        assert detect_intent(text, HOSTING).intent == intent

    def test_both_packs_together_know_both_worlds(self) -> None:
        packs = load_packs()
        assert detect_intent("my virtual machine has a black screen", packs).intent == "vm_access"
        assert detect_intent("how do I renew my domain name", packs).intent == "domain"

    def test_a_hostile_text_costs_milliseconds(self) -> None:
        text = ("reset the old database password of my invoice " * 2300)[:100_000]
        started = time.thread_time()
        detect_intent(text, load_packs())
        assert time.thread_time() - started < 0.1


class TestBrokenFile:
    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            ("packs: [", "while parsing"),
            ("- a", "must have `packs`"),
            ("packs: [a]", "must map names"),
            ("packs: {a: {b: {base: 0.5, examples: []}}}", "intent a/b: KeyError('keywords')"),
            ("packs: {a: {b: {base: 1.5, keywords: [x], examples: []}}}", "base must be"),
            ("packs: {a: {b: {base: 0.5, keywords: ['~'], examples: []}}}", "intent a/b"),
            ("packs: {a: {b: {base: 0.5, keywords: [no], examples: []}}}", "intent a/b"),
        ],
    )
    def test_the_error_says_where_and_what(self, tmp_path: Path, content: str, complaint: str) -> None:
        file = tmp_path / "intents.yaml"
        file.write_text(content)
        with pytest.raises(IntentFileError) as error:
            load_packs(file)
        assert complaint in str(error.value)
        assert str(file) in str(error.value)

    def test_a_missing_file_is_one_too(self, tmp_path: Path) -> None:
        with pytest.raises(IntentFileError):
            load_packs(tmp_path / "none.yaml")
