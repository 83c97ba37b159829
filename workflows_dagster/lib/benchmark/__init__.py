"""Benchmarks of exported models and the report that compares them."""
