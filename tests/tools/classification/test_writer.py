"""What is told about the writer, in the words that customers use."""

import pytest

from tools.classification.writer import asks_who_is_there, says_yes, sentiment, wants_human


class TestAsksWhoIsThere:
    @pytest.mark.parametrize(
        "text",
        [
            "Anybody there?",
            "hello, is there somebody",
            "still waiting...",
            "When will someone answer?",
            "Ist jemand da?",
        ],
    )
    def test_who_waits_asks_in_many_words(self, text: str) -> None:
        assert asks_who_is_there(text)

    @pytest.mark.parametrize(
        "text",
        ["hello", "When does my invoice come?", "I am waiting for my domain to be transferred, where do I see it?"],
    )
    def test_a_question_is_none(self, text: str) -> None:
        assert not asks_who_is_there(text)


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
            "I want a human again",
            "put me through to a colleague",
            "Please have someone from your team contact me",
            "please escalate this",
            "Could you escalate my ticket, please?",
            "I'd like this escalated",
            "can one of your colleagues take over?",
            "could a colleague of yours look into it?",
            "Someone needs to call me today",
            "transfer me to your team lead",
            "Ich möchte mit einem Menschen sprechen",
            "Verbinden Sie mich bitte mit einem Mitarbeiter",
            "ich will einen Mitarbeiter",
            "Kann ein Kollege übernehmen?",
            "Soll sich bitte jemand bei mir melden",
            "Bitte eskalieren Sie das",
            "Können Sie mich bitte zurückrufen",
            "Je veux parler à un humain",
            "Puis-je parler avec un conseiller ?",
            "Passez-moi un collègue",
            "Quelqu'un peut-il me rappeler ?",
            "Que alguien de su equipo me llame",
            "Por favor escale este caso",
            "Пусть мне кто-нибудь перезвонит",
            "Передайте мой вопрос коллеге",
            "Quiero hablar con una persona",
            "Vorrei parlare con un operatore",
            "Quero falar com um atendente",
            "Ik wil met een medewerker spreken",
            "Хочу поговорить с человеком",
            "Позовите оператора",
            "转人工",
            "オペレーターにつないでください",
            "상담원 연결해 주세요",
            "I don't want a bot, I want a human",
            "Why don't you connect me to an agent?",
            "No quiero un robot, quiero hablar con una persona",
            "не бот, мне нужен человек",
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
            "my colleague can't log in",
            "how do I add a colleague as a user?",
            "Can my colleague look at the statistics too?",
            "how do I transfer it to a colleague?",
            "someone from your team contacted me yesterday about the invoice",
            "how do I let visitors call me from the site?",
            "the price escalates",
            "When do you escalate a ticket?",
            "How do I stop an attacker who wants to escalate privileges?",
            "ein Mitarbeiter von uns braucht Zugang",
            "Ich will einem Mitarbeiter ein Postfach geben",
            "Ich möchte einen neuen Mitarbeiter als Benutzer anlegen",
            "Wie verbinde ich mich mit dem FTP-Server?",
            "Pouvez-vous me rappeler la date d'expiration ?",
            "Je veux ajouter un conseiller à mon compte",
            "Mi equipo no puede entrar al panel",
            "¿Cómo escalar mi servidor?",
            "Как переключить менеджер файлов?",
            "Нужен доступ для сотрудника",
            "I don't need a colleague",
            "no need to escalate",
            "please don't escalate this",
            "don't connect me to an agent",
            "no necesito un agente",
            "мне не нужен человек",
        ],
    )
    def test_not_asked_for(self, text: str) -> None:
        assert not wants_human(text)


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


class TestSentiment:
    def test_praise_is_positive_and_blame_negative(self) -> None:
        assert sentiment("Thank you, great help!") > 0.5
        assert sentiment("This is terrible, I hate it") < -0.5
        assert sentiment("my mailbox has a quota") == 0

    def test_a_negation_turns_praise(self) -> None:
        assert sentiment("I am happy") > 0 > sentiment("I am not happy")

    def test_it_stays_within_one(self) -> None:
        assert -1 <= sentiment("awful terrible horrible useless " * 500) <= 1
