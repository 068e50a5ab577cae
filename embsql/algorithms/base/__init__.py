"""What several algorithms share: not algorithms themselves."""
