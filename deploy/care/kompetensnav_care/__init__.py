"""Kompetensnav."""
