"""A desired state, brought into the directory."""
