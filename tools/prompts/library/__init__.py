"""The templates that ship with the product: one file each, a name, what it is for, and the three parts."""

from functools import cache
from importlib.resources import files

import yaml

from tools.prompts.checking import PromptTexts, check


@cache
def templates() -> tuple[tuple[str, str, PromptTexts], ...]:
    """Name, description and texts of every template. Raises Invalid for one that breaks the rules of prompts."""
    found = []
    for file in sorted(files(__package__).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            read = yaml.safe_load(file.read_text("utf-8"))
            texts = PromptTexts(**{name: str(text).strip() for name, text in read["parts"].items()})
            check(texts)
            found.append((str(read["name"]), " ".join(str(read["description"]).split()), texts))
    return tuple(found)
