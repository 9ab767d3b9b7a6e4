"""The two stores that can hold the vectors, and what they share."""
