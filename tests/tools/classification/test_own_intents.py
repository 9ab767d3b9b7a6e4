"""A tenant's own intents: known from their examples, beside the packs and not instead of them."""

import pytest
import pytest_asyncio
from pydantic import ValidationError

from kbs.embedding.embedder import Embedder
from tools.classification import Classification, Prototypes, build_prototypes, classify
from tools.classification.own import MOST_EXAMPLES, OwnIntent, packs_with, prototypes_with
from tools.intents import find_intent, load_packs
from tools.tenants import TenantOptions

LOYALTY = OwnIntent(
    name="loyalty_card",
    examples=["Where do I see my bonus points?", "My loyalty card was not scanned", "How do I spend collected points?"],
    sensitive=True,
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def common(embedder: Embedder) -> Prototypes:
    return await build_prototypes(embedder, load_packs())


async def told(embedder: Embedder, common: Prototypes, text: str, *own: OwnIntent) -> Classification:
    prototypes = await prototypes_with(embedder, common, own)
    vector = await embedder.embed_query(text)
    return classify(text, packs=packs_with(load_packs(), own), embedding=vector, prototypes=prototypes)


class TestOwnIntents:
    async def test_it_is_known_from_its_examples(self, embedder: Embedder, common: Prototypes) -> None:
        text = "The shop did not take my bonus card yesterday"
        assert (await told(embedder, common, text, LOYALTY)).intent == "loyalty_card"
        assert (await told(embedder, common, text)).intent != "loyalty_card"

    async def test_the_others_stay(self, embedder: Embedder, common: Prototypes) -> None:
        assert (await told(embedder, common, "How do I renew my SSL certificate?", LOYALTY)).intent == "ssl"
        assert (await told(embedder, common, "My mailbox is full", LOYALTY)).intent == "email"

    async def test_another_tenant_hears_nothing_of_it(self, embedder: Embedder, common: Prototypes) -> None:
        await prototypes_with(embedder, common, [LOYALTY])
        assert "loyalty_card" not in (await prototypes_with(embedder, common, [])).labels

    async def test_the_same_examples_are_embedded_once(self, embedder: Embedder, common: Prototypes) -> None:
        assert await prototypes_with(embedder, common, [LOYALTY]) is await prototypes_with(embedder, common, [LOYALTY])

    def test_what_it_says_about_itself_is_found(self) -> None:
        found = find_intent("loyalty_card", packs_with(load_packs(), [LOYALTY]))
        assert found is not None
        assert (found.pack, found.sensitive, found.technical) == ("own", True, False)

    @pytest.mark.parametrize(
        "intent",
        [
            {"name": "Loyalty", "examples": ["aa", "bb"]},
            {"name": "x", "examples": ["one"]},
            {"name": "x", "examples": ["a\x00b", "bb"]},
            {"name": "x", "examples": ["aa"] * (MOST_EXAMPLES + 1)},
            {"name": "x", "examples": ["aa", "b" * 301]},
            {"name": "x", "examples": ["aa", "bb"], "weight": 1},
        ],
    )
    def test_what_is_no_intent_is_refused(self, intent: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            TenantOptions.model_validate({"intents": [intent]})
