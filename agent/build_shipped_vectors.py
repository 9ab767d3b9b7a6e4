"""Writes `kbs/embedding/shipped.npz`, the vectors of what ships with the product: `python -m agent.build_shipped_vectors`.

To be run after a change of the shipped articles, of how they are cut, or of the examples of intents; a test says so.
"""

import asyncio

import numpy as np

from kbs.articles.chunking import embedded_text, split
from kbs.articles.global_content import global_collections, open_global_content
from kbs.articles.reading import read_folder
from kbs.embedding.embedder import Batched
from kbs.embedding.minilm import open_minilm
from kbs.embedding.shipped_vectors import write_shipped
from tools.classification.severity import severity_examples
from tools.intents import in_force, load_packs


def what_ships() -> list[str]:
    """Every text that a first start and every start embed."""
    texts = [text for pack in in_force(load_packs()) for intent in pack.intents for text in intent.examples]
    texts += [example.text for example in severity_examples()]
    for collection in global_collections():
        with open_global_content(collection) as folder:
            articles, _ = read_folder(folder)
        for article in articles:
            chunks = split(article.body, title=article.title)
            texts += [embedded_text(article.title, chunk.heading, chunk.text) for chunk in chunks]
    return list(dict.fromkeys(texts))


async def main() -> None:
    texts = what_ships()
    async with open_minilm() as encoder:
        vectors = np.asarray(await Batched(encoder).embed_texts(texts), dtype=np.float32)
    write_shipped(encoder.id, dict(zip(texts, vectors, strict=True)))
    print(f"{len(texts)} texts")  # noqa: T201  a command for developers


if __name__ == "__main__":
    asyncio.run(main())
