"""The packs of intents, and the certainty of a match."""

import time
from pathlib import Path

import pytest

from memory.errors import Misconfigured
from tests.machine import usual
from tools.intents import IntentFileError, detect_intent, find_intent, load_packs, rank_intents

HOSTING = [load_packs()["hosting"]]
CYBER = [load_packs()["cyber-training"]]


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

    @pytest.mark.parametrize(
        ("text", "certainty", "keywords"),
        [
            ("sql dump", 0.75, ("sql dump",)),
            ("restore the sql dump and more sql", 0.8, ("sql", "sql dump")),
            ("sql dump of mysql", 0.8, ("mysql", "sql dump")),
            ("meine datenbank", 0.75, ("datenbank",)),
        ],
    )
    def test_a_piece_of_a_longer_keyword_is_no_further_one(
        self, text: str, certainty: float, keywords: tuple[str, ...]
    ) -> None:
        match = detect_intent(text, HOSTING)
        assert (match.intent, match.certainty, match.keywords) == ("database", certainty, keywords)

    def test_what_stands_between_the_words_of_a_keyword_counts_for_itself(self) -> None:
        assert detect_intent("cancel my paypal subscription", HOSTING).certainty == 0.8

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
        assert time.thread_time() - started < usual(0.1)


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
        with pytest.raises(IntentFileError) as error:
            load_packs(tmp_path / "none.yaml")
        assert isinstance(error.value, Misconfigured)
