"""Two APIs of others, declared with `meitner_aio.declare`, and what their clients promise."""
