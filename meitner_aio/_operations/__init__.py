"""The typed half of a call: turns a resource's declared operations into methods. Of the wire it knows only `Send`."""
