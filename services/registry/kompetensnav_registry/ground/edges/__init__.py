"""The world outside: files, links, keys."""
