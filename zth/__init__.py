"""Models of the lectures, kept as the book's chapters build them."""

__version__ = "0.1.0"
