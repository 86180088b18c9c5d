"""The main job told as a story, on real input."""
