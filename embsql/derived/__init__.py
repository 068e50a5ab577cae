"""What is made of a finished run: clusters, maps, top-k tables."""
