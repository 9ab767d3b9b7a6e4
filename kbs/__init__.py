"""What we know: content, chunking, embeddings, the index, retrieval and ranking."""
