"""Rules without clock, database or network."""
