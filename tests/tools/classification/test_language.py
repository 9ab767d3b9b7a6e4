"""The language of a message, and that one model serves all who ask for languages."""

from pathlib import Path

import pytest

from kbs.words import language
from tools.classification import detect_language, read_words
from tools.intents import load_packs


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

    @pytest.mark.parametrize(
        ("spoken", "text", "language"),
        [
            ("de", "nein danke", "de"),
            ("de", "Rechnung", "de"),
            ("de", "ok", "de"),
            ("de", "vm frozen", "de"),
            ("de", "Thunderbird IMAP Port", "de"),
            ("fr", "SSL certificate", "fr"),
            ("en", "danke", "en"),
            ("uk", "да", "uk"),
            ("de", "How do I reset my mailbox password?", "en"),
            ("de", "my mailbox is full", "en"),
            ("en", "Wo ist meine Rechnung?", "de"),
            ("en", "merci beaucoup", "fr"),
            ("en", "да", "ru"),
            ("de", "مرحبا", "ar"),
            (None, "Rechnung", "de"),
            (None, "Passwort weg", "de"),
            (None, "kündigen", "de"),
            (None, "Hilfe!", "de"),
            (None, "facture?", "fr"),
            (None, "¿factura?", "es"),
            (None, "fattura", "it"),
            (None, "quero me matar", "pt"),
            (None, "pagamento", "en"),
            (None, "domain", "en"),
            (None, "full backup", "en"),
            (None, "plan", "en"),
            (None, "contract", "en"),
            (None, "spam", "en"),
            ("en", "Rechnung", "en"),
            (None, "danke", "de"),
        ],
    )
    def test_the_language_of_the_conversation_holds_until_another_is_plain(
        self, spoken: str | None, text: str, language: str
    ) -> None:
        assert read_words(text, [load_packs()["hosting"]], spoken=spoken).language == language

    def test_the_choice_of_some_does_not_limit_the_others(self) -> None:
        text = "Ik heb mijn wachtwoord vergeten en kan niet meer inloggen"
        assert [code for code, _ in language.rank_languages(text, ("de", "en"))] == ["de", "en"]
        assert language.rank_languages(text)[0][0] == "nl"

    def test_tables_that_lie_in_a_folder_say_the_same(self, tmp_path: Path) -> None:
        texts = ("Ik heb mijn wachtwoord vergeten", "Wie setze ich mein Passwort zurück?", "сайт не работает", "ok")
        among = ("de", "en", "nl", "ru")
        before = [(language.rank_languages(text), language.rank_languages(text, among)) for text in texts]
        for _ in range(2):  # unpacked, and found
            language.load_languages(tmp_path)
            assert [(language.rank_languages(text), language.rank_languages(text, among)) for text in texts] == before

    def test_a_folder_that_can_not_be_written_to_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match="file"):
            language.load_languages(tmp_path / "file")
