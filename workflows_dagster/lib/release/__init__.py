"""Releases: one chain of versions from raw reviews to the exported model, named by a tag, and which one is deployed."""
