"""The life of a run: leases, training, measuring, promotion, publishing, forgetting."""
