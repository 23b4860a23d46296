"""Evaluating scores on folders of saved embeddings: the published protocol, and one that can be deployed."""

__all__: list[str] = []
