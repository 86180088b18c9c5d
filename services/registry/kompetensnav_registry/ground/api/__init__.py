"""Over HTTP: organisations, and what every module of the API has in common."""
