"""The directory of the sandbox: tables, rules, filters. Knows nothing of HTTP."""
