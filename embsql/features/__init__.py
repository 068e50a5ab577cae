"""What is known of users and items, as numbers."""
