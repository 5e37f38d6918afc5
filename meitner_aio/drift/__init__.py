"""Where a server's OpenAPI document says something else than this version knows: one line for each difference.

The document is compared by what it means, not by how it is written: names of schemas, order, and whether something is
inline make no difference. What a document leaves out is no difference either.
"""

from __future__ import annotations

from ._comparison import differences

__all__ = ["differences"]
