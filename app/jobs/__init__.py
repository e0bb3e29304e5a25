"""Jobs: when things happen. What happens is in `app.sync`."""
