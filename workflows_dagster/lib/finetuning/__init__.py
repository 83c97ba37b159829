"""Fine-tuning: adapters trained on reviews, their linear baseline, and the model they merge into."""
