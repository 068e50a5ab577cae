"""Skip-gram with negative sampling: item2vec and node2vec use it."""
