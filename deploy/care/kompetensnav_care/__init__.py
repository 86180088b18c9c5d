"""Counts and checks over streams and databases; reads only, imports no service."""
