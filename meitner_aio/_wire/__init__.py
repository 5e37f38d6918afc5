"""Requests and answers: headers, bodies, limits on their size. Knows no connection."""
