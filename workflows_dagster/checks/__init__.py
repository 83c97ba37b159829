"""What must hold of each asset before it is published, one module for each stage."""
