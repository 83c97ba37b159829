"""A Dagster project that takes raw retail reviews to a benchmarked, quantized sentiment model."""
