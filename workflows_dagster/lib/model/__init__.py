"""Models, shared by all stages: load them, prepare and batch their inputs, run them, judge their predictions."""
