"""Where an export goes: a folder, or an object store. The store's own module is imported where one is named."""
