"""Words and their languages: which language a text is in, what a word stems from, how it is spelt and translated."""
