"""The nearest examples, and when they overrule keywords."""

from dataclasses import replace

import numpy as np
import pytest
import pytest_asyncio

from kbs.embedding.embedder import Embedder
from tools.classification import Prototypes, build_prototypes, classify
from tools.classification.prototypes import make_prototypes, nearest_intent
from tools.intents import load_packs

HOSTING = [load_packs()["hosting"]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def prototypes(embedder: Embedder) -> Prototypes:
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
        self, embedder: Embedder, prototypes: Prototypes, text: str, intent: str
    ) -> None:
        vector = await embedder.embed_query(text)
        found = classify(text, packs=HOSTING, embedding=vector, prototypes=prototypes)
        assert (found.embedded_intent, found.intent) == (intent, intent)
        assert found.certainty == 0.3
        assert found.keyword_intent is None

    async def test_far_off_messages_stay_without_intent(self, embedder: Embedder, prototypes: Prototypes) -> None:
        text = "what is the tallest mountain on earth"
        found = classify(text, packs=HOSTING, embedding=await embedder.embed_query(text), prototypes=prototypes)
        assert found.intent is None
        assert found.embedded_intent is not None
        assert found.embedded_score < 0.35

    async def test_a_clear_lead_overrides_a_keyword_and_both_are_shown(
        self, embedder: Embedder, prototypes: Prototypes
    ) -> None:
        text = "the visitors of my domain are sent to a spam site, I think the site was broken into"
        found = classify(text, packs=HOSTING, embedding=await embedder.embed_query(text), prototypes=prototypes)
        assert (found.keyword_intent, found.embedded_intent, found.intent) == ("domain", "malware", "malware")
        assert found.certainty == 0.3  # no keyword spoke for malware

    async def test_only_the_packs_in_force_are_asked(self, embedder: Embedder) -> None:
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


class TestOtherLanguages:
    """What an embedder that reads English makes of the rest is no reason to call a person."""

    @pytest.mark.parametrize(
        "text",
        [
            "Как восстановить сайт из резервной копии?", "спасибо, всё заработало",
            "Забула пароль адміністратора вордпрес",
            "Zeig mir mal bitte alle Subdomains von fahrrad-lehmann.de", "Hoe zet ik de catch-all uit?", "🤷", "???",
        ],
    )  # fmt: skip
    async def test_everyday_messages_are_not_grave(self, embedder: Embedder, prototypes: Prototypes, text: str) -> None:
        found = classify(text, packs=HOSTING, embedding=await embedder.embed_query(text), prototypes=prototypes)
        assert found.severity in ("LOW", "MEDIUM")

    async def test_an_embedder_that_reads_them_is_believed(self, embedder: Embedder, prototypes: Prototypes) -> None:
        text = "Как восстановить сайт из резервной копии?"
        reads_all = replace(prototypes, english_only=False)
        found = classify(text, packs=HOSTING, embedding=await embedder.embed_query(text), prototypes=reads_all)
        assert (prototypes.english_only, found.severity) == (True, "CRITICAL")
