"""Reading raw reviews: sources as configuration, batches of files, every row kept or rejected with a reason."""
