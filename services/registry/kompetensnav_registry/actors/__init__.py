"""Employers and workplaces: whom to write to, what was agreed with them, what they need."""
