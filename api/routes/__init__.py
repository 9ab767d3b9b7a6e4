"""The routes, one file per area: parse, call one tool, return."""
