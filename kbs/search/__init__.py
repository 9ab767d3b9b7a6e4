"""From a question to ranked passages, and what that rests on."""
