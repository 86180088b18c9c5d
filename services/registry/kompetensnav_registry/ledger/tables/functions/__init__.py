"""The functions of the database, each whole in a file of its own. They read; they decide nothing."""

from importlib.resources import files


def text(name: str) -> str:
    """The statement that makes a function, or changes it to what the file says."""
    return (files(__name__) / f"{name}.sql").read_text()
