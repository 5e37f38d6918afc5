"""What stands on the terminal: tables, progress, amounts."""
