"""Employers, learners, slots, the capacity ledger, offers and placements."""
