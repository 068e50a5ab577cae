"""Networks in torch: towers, sequence models, their batches, losses and training loop."""
