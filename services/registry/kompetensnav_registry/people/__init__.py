"""Learners: their requests and agreements, what is kept of them, and how they come in and are forgotten."""
