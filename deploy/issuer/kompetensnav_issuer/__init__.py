"""Tokens for development: whoever can ask may be anybody."""
