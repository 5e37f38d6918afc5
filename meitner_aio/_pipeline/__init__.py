"""How a request travels: retries, credentials, rate limit, transport. Knows nothing of listings and resources."""
