"""`Coroutine`, spelled so that type checkers and jedi (IPython, Jupyter) both see what is awaited.

mypy warns of a call that is never awaited where its type is `collections.abc.Coroutine`; jedi loses the result on the
way through that class, and finds it through `types.CoroutineType`.
"""

from __future__ import annotations

TYPE_CHECKING = False  # true for type checkers, as that of `typing` is; jedi takes that one for true, too
if TYPE_CHECKING:
    from collections.abc import Coroutine
else:
    from types import CoroutineType as Coroutine

__all__ = ["Coroutine"]
