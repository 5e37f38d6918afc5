"""What a request and an answer are: headers, bodies, bounds. Pure, except for what reads a body."""
