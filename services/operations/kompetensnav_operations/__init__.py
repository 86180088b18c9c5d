"""The operations console: what waits where, what died and why, and the means to mend it."""
