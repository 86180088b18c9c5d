"""Rounds, proposals and reasons."""
