"""The program's version: a file of its own, so that any layer may name it without importing the package's front."""

__version__ = "0.1.0"
