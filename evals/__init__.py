"""Offline quality: cases, evaluators, runner, report."""
