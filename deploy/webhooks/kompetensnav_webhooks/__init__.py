"""Public events posted to partners who would rather be called than fetch."""
