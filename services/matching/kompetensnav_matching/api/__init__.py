"""Matching over HTTP: rounds, and why they are as they are."""

from kompetensnav_matching.api import rounds, why

ROUTERS = (rounds.router, why.router)
