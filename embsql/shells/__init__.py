"""Programs around the API: command line, worker, demo."""
