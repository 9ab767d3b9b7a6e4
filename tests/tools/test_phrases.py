"""The phrase language: how text is folded, what a phrase is, and what it finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.phrases import Phrase, PhraseBook, Phrases, Step, fold, parse_phrase, tokenize


def occurs(phrase: str, text: str, *, across: bool = False) -> bool:
    parsed = parse_phrase(phrase, {"verbs": "show|tell"})
    return bool(PhraseBook([parsed]).read(tokenize(text), across=across).ends_of(parsed))


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
        assert [
            position for position in range(reading.length) if reading.covers(Phrases([phrase])) >> position & 1
        ] == [
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
        found = PhraseBook([phrase]).read(tokens).ends_of(phrase)
        assert {position for position in range(len(tokens)) if found >> position & 1} == ends

    @given(
        st.lists(st.sampled_from(["ab", "abc", "b", "ca"]), max_size=6),
        st.lists(st.lists(st.sampled_from(["ab", "ab*", "b|ca", "c*", "zz"]), min_size=1, max_size=3), max_size=6),
    )
    def test_the_table_of_first_words_leaves_out_only_what_cannot_be_there(
        self, tokens: list[str], written: list[list[str]]
    ) -> None:
        phrases = Phrases(parse_phrase(" ".join(words)) for words in written)
        reading = PhraseBook(phrases).read(tokens)
        there = frozenset(term for term in reading._found)
        assert reading.possible(phrases) == [
            phrase for phrase in phrases if phrase.steps[0].terms & there and phrase.steps[-1].terms & there
        ]
        ends = 0
        for phrase in phrases:
            ends |= reading.ends_of(phrase)
        assert reading.ends(phrases) == ends
