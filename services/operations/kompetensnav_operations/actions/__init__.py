"""What the console can do, by noun."""
