"""Repositories of a lakeFS server."""
