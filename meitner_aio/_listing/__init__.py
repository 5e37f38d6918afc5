"""Reads many pages as one listing: fetched ahead, in order, complete or not. Does not know how requests are sent."""
