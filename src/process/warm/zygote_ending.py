"""How a call ends: as the interpreter ends it, but without taking apart what it shares with the warm parent.

At its end an interpreter takes apart every module and every type. In a fork each of these writes is a page to be
copied, which makes it half of the cost of a short call. So what the parent had loaded is set aside and never freed;
the script's own modules and objects are taken apart as always. That is done only where nobody can see it: no thread
runs, and no object of this call is left that has something to do when it dies. Else the interpreter takes apart the
whole of it.
"""

import _weakref
import gc
import sys

from zygote_leftovers import is_anything_left, plain_types

# These the interpreter takes apart by themselves.
KEPT = frozenset(("sys", "builtins", "__main__"))


class Ending:
    """What the end of a call needs to know. One for Z, and so for all its forks."""

    def __init__(self):
        self.keep = []

    def prepare(self):
        """To be called last, when Z holds all that it shares with its forks."""
        self.loaded = list(sys.modules)
        first = first_to_die()
        gc.collect()
        self.plain = plain_types()
        # A reference from here to everything, and one from here to here: nothing of it is ever freed in a fork.
        self.keep.append(self.keep)
        for thing in gc.get_objects():
            # Neither what has to die first, nor the list that holds it.
            if thing is not first and thing is not sys.path_hooks:
                self.keep.append(thing)
        if first is not None:
            self.keep.append(_weakref.ref(first, self.end))
        del first, thing
        gc.freeze()

    def end(self, _):
        """Called by the interpreter when it begins to take apart its modules."""
        if not sys.is_finalizing():
            return
        try:
            if not is_anything_left(self.plain):
                modules = sys.modules
                self.keep.append([modules.pop(name, None) for name in self.loaded if name not in KEPT])
                return
        except Exception:
            pass
        del self.keep[:]
        gc.unfreeze()


def first_to_die():
    """A function to which only one attribute of `sys` leads, of those that are cleared before all modules."""
    hooks = sys.path_hooks
    if sys.getrefcount(hooks) <= 3:
        first = hooks[-1]
        if sys.getrefcount(first) <= 3 and type(first) is type(first_to_die):
            return first
    del hooks
    first = getattr(sys, "__interactivehook__", None)
    # Held by `sys`, by this name, and by the call that asks.
    if type(first) is type(first_to_die) and sys.getrefcount(first) <= 3:
        return first
    return None
