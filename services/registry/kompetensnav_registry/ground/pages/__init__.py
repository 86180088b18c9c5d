"""The catalogue of public events, open to all, and what all pages have in common."""
