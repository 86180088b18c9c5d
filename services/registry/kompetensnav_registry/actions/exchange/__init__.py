"""Seats over the border of a stack: each is given by the registry that owns its workplace, and by it alone.

The owner: `lending` (which slots are lent, and to whom), `guests` (seats that another stack has asked for).
The other: `borrowing` (its picture of slots that are lent to it), `asking` and `answers` (its own asks).
"""
