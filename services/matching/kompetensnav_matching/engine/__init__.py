"""The engine: arrays in, arrays out. Knows nothing of learners, slots or services."""
