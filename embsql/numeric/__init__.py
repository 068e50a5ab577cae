"""Mathematics of arrays: linear algebra, top-k, k-means, projections. Compiled code lives here."""
