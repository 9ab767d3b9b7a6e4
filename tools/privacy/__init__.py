"""A customer's right to their data: all of it in one file, and all of it gone."""
