"""Text to vectors: the embedder with its caches, and the models behind it."""
