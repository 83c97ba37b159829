"""Synthetic reviews of rare classes: how many, made from what, and which of them may be trained on."""
