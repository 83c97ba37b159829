"""Thin assets, one module for each stage of the pipeline."""
