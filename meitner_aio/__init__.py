"""An async client for the Meitner Directory API: schools, groups, employees, guardians, students and their placements.

```python
async with Meitner() as meitner:
    async for student in meitner.students.list():
        print(student.id)
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.2.0"

if TYPE_CHECKING:
    from ._exports import *
else:

    def __getattr__(name: str) -> object:
        """Import what is wanted: a module of the package, or all exports with the first of them.

        Nothing is imported before, so that the command line prints its version and its help without a client.
        """
        from importlib import import_module, util

        if name == "__all__" or not name.startswith("_"):
            if util.find_spec(f"{__name__}.{name}") is not None:
                return import_module(f"{__name__}.{name}")
            exports = import_module(f"{__name__}._exports")
            globals().update({export: getattr(exports, export) for export in exports.__all__}, __all__=exports.__all__)
            if name in globals():
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
