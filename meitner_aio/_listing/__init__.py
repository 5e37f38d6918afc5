"""Many pages as one listing: fetched ahead, in order, and shown to be complete. Does not know how requests travel."""
