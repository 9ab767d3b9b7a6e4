"""What a run is told as: scores beside their baselines, for programs as JSON and for people as one page of HTML."""

from evals.report.page import write_html
from evals.report.summary import Line, Section, Summary, shown, summarise, write_json

__all__ = ["Line", "Section", "Summary", "shown", "summarise", "write_html", "write_json"]
